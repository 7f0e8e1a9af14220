"""A page with all pictures: python3 page.py HTML jobs/.all/sheet/SHEET.jpg... jobs/JOB/web/WIDTH/web.jpg..."""

import html
import sys
import urllib.parse

out, *files = sys.argv[1:]
sheets = [file.rpartition("/")[2] for file in files if file.startswith("jobs/.all/")]
widths = {}
for file in files[len(sheets) :]:
    job, _, width, _ = file.removeprefix("jobs/").rsplit("/", 3)
    widths.setdefault(job, []).append(width)
with open(out, "w", encoding="utf-8") as page:
    page.write('<!doctype html><meta charset="utf-8"><title>Album</title>\n')
    page.writelines(f'<img src="{sheet}" alt="all">\n' for sheet in sheets)
    for job, found in widths.items():
        name = urllib.parse.unquote(job)  # as the album has it: 50% off, in a path 50%25 off
        url = urllib.parse.quote(name)
        sources = ", ".join(f"{url}-{width}.jpg {width}w" for width in found)
        page.write(f'<img srcset="{sources}" src="{url}-{found[0]}.jpg" alt="{html.escape(name)}">\n')
