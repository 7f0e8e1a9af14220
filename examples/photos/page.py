"""A page with all pictures: python3 page.py HTML jobs/JOB/web/WIDTH/web.jpg..."""

import html
import sys
import urllib.parse

out, *files = sys.argv[1:]
widths = {}
for file in files:
    job, _, width, _ = file.removeprefix("jobs/").rsplit("/", 3)
    widths.setdefault(job, []).append(width)
with open(out, "w", encoding="utf-8") as page:
    page.write('<!doctype html><meta charset="utf-8"><title>Album</title><img src="sheet.jpg" alt="all">\n')
    for job, found in widths.items():
        name = urllib.parse.unquote(job)  # as the album has it: 50% off, in a path 50%25 off
        url = urllib.parse.quote(name)
        sources = ", ".join(f"{url}-{width}.jpg {width}w" for width in found)
        page.write(f'<img srcset="{sources}" src="{url}-{found[0]}.jpg" alt="{html.escape(name)}">\n')
