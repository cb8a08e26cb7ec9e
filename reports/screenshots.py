"""Takes the first screen of the committed reports, as a reviewer meets them: wide, dark and on a phone."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
NAMES = ("digits", "shapes", "mode-dropped-50")
LOOKS = {"wide": (1440, 900, "light"), "dark": (1440, 900, "dark"), "phone": (360, 740, "light")}
MOST_BYTES = 300_000


def main() -> None:
    """Write the screenshots, or say why not."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no chromium, chromium-browser or google-chrome on this machine; install one of them")
    (FOLDER / "screenshots").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name in NAMES:
            for look, (width, height, scheme) in LOOKS.items():
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.goto((FOLDER / name / "report.html").resolve().as_uri())
                file = FOLDER / "screenshots" / f"{name}-{look}.png"
                size = len(page.screenshot(path=file))
                page.close()
                sys.stdout.write(f"{file.relative_to(FOLDER.parent)}: {size} bytes\n")
                if size > MOST_BYTES:
                    sys.exit(f"{file}: {size} bytes, at most {MOST_BYTES} are wanted")
        browser.close()


if __name__ == "__main__":
    main()
