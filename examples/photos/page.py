"""A page with all pictures: python3 page.py HTML jobs/JOB/web/WIDTH/web.jpg..."""

import html
import sys

out, *files = sys.argv[1:]
widths = {}
for file in files:
    job, _, width, _ = file.removeprefix("jobs/").rsplit("/", 3)
    widths.setdefault(job, []).append(width)
with open(out, "w", encoding="utf-8") as page:
    page.write('<!doctype html><meta charset="utf-8"><title>Album</title><img src="sheet.jpg" alt="all">\n')
    for job, found in widths.items():
        name = html.escape(job)
        sources = ", ".join(f"{name}-{width}.jpg {width}w" for width in found)
        page.write(f'<img srcset="{sources}" src="{name}-{found[0]}.jpg" alt="{name}">\n')
