"""Camera and slides side by side: python3 composite.py FFMPEG HEIGHT OFFSET_S OUT CAMERA SLIDES (may be empty)."""

import subprocess
import sys

ffmpeg, height, offset_s, out, camera, slides = sys.argv[1:]
inputs, graph = ["-i", camera], f"[0:v]scale=-2:{height}[v]"
if slides:
    inputs += ["-itsoffset", offset_s, "-i", slides]
    graph = f"[0:v]scale=-2:{height}[a];[1:v]scale=-2:{height}[b];[a][b]hstack=inputs=2:shortest=1[v]"
picture = ["-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-pix_fmt", "yuv420p"]
sound = ["-map", "0:a", "-c:a", "aac", "-bitexact"]
command = [ffmpeg, "-nostdin", "-v", "error", *inputs, "-filter_complex", graph, "-map", "[v]", *picture, *sound, out]
sys.exit(subprocess.run(command, check=False).returncode)
