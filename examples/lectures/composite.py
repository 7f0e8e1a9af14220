"""Camera and slides side by side: python3 composite.py FFMPEG HEIGHT OFFSET_S OUT CAMERA SLIDES (may be empty)."""

import subprocess
import sys

if len(sys.argv) != 7:
    sys.exit(f"one camera and at most one file of slides are needed, these are there: {' '.join(sys.argv[5:])}")
ffmpeg, height, offset_s, out, camera, slides = sys.argv[1:]
inputs, graph = ["-i", camera], f"[0:v]scale=-2:{height}[v]"
if slides:  # the first one is shown until the next, and the last one to the camera's end
    late_s = float(offset_s)
    inputs += ["-ss", str(max(0.0, -late_s)), "-i", slides]
    held = f"tpad=start_duration={max(0.0, late_s)}:start_mode=clone:stop=-1:stop_mode=clone"
    graph = f"[0:v]scale=-2:{height}[a];[1:v]scale=-2:{height},{held}[b];[a][b]hstack=inputs=2:shortest=1[v]"
picture = ["-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-pix_fmt", "yuv420p"]
sound = ["-map", "0:a?", "-c:a", "aac", "-bitexact"]
command = [ffmpeg, "-nostdin", "-v", "error", *inputs, "-filter_complex", graph, "-map", "[v]", *picture, *sound, out]
sys.exit(subprocess.run(command, check=False).returncode)
