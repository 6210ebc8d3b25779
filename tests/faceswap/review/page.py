"""The review page in a headless Chromium, by clicks and keys.

    page.py DOPPEL FOLDER     screenshots stay in FOLDER; exit code 77 without Chromium
"""
import os
import shutil
import signal
import subprocess
import sys
import unittest

import browser
import face_sets

PROGRAM, FOLDER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
MANY = 5000
KEPT = "+document.querySelector('#counts b').textContent"
STATUS = "document.querySelector('#status').textContent"

# Scrolls through the whole list, a third of the window a frame; the frames' times in ms.
SCROLL = """(async () => {
  const list = document.querySelector('#list'), times = [];
  let most = 0, last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 100; ++i) {
    list.scrollTop += list.clientHeight / 3;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
    most = Math.max(most, document.querySelectorAll('*').length);
  }
  times.sort((a, b) => a - b);
  return {median: times[50], p95: times[95], worst: times[99], most};
})()"""
IN_SIGHT = """[...document.querySelectorAll('.tile img')].filter((i) => {
  const b = i.getBoundingClientRect(); return b.bottom > 100 && b.top < innerHeight - 60; })"""


class Review:
    """`doppel review` on some folders."""

    def __init__(self, *folders):
        self.process = subprocess.Popen([PROGRAM, "review", "--no-open", "-q", *folders],
                                        stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        self.process.stdout.close()


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = browser.Browser(browser.find())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def setUp(self):
        self.folder = os.path.join(FOLDER, "faces")
        shutil.rmtree(self.folder, ignore_errors=True)

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *folders):
        review = Review(*folders)
        self.addCleanup(review.stop)
        self.assertTrue(review.address.startswith("http://127.0.0.1:"), review.address)
        return review

    def open(self, review, width=1280, height=720):
        page = browser.Page(self.browser, width, height)
        page.open(review.address)
        page.wait("document.querySelector('.tile img')?.naturalWidth > 0")
        return page

    def shot(self, page, name):
        page.screenshot(os.path.join(FOLDER, name + ".png"))

    def go(self, page, key, words):
        """A key, then the words that the page answers with."""
        page.key(key)
        page.wait(f"{STATUS}.includes('{words}')")

    def on_screen(self, page, face, landmark):
        """A landmark's place in the large view."""
        return page.evaluate(
            f"fetch('/api/face/0/{face}').then((r) => r.json())"
            ".then(({size, crop, landmarks}) => {"
            " const b = document.querySelector('#picture').getBoundingClientRect();"
            f" const x = landmarks[{2 * landmark}], y = landmarks[{2 * landmark + 1}];"
            " return [b.x + (crop[0] * x - crop[1] * y + crop[2] + 0.5) / size * b.width,"
            "         b.y + (crop[1] * x + crop[0] * y + crop[3] + 0.5) / size * b.height]; })")

    def test_a_person_cleans_a_set(self):
        face_sets.small(self.folder)
        review = self.start(self.folder)
        page = self.open(review)
        self.assertEqual(page.evaluate(KEPT), 24)
        # Marked faces come first, and few faces deserve a look.
        heads = page.evaluate("[...document.querySelectorAll('.head h2')].map("
                              "(h) => h.textContent)")
        self.assertEqual(heads[-1], "Refused by extraction")
        self.shot(page, "rows")

        # A whole person, and back again.
        page.key("2")
        page.wait("document.querySelector('.tile.active')?.title.startsWith('p2_')")
        self.go(page, "D", "Dropped 4 faces")
        self.assertEqual(page.evaluate(KEPT), 20)
        self.assertEqual(page.evaluate("document.querySelectorAll('.tile.dropped').length"), 6)
        self.shot(page, "dropped")
        self.go(page, "u", "Undone")
        self.assertEqual(page.evaluate(KEPT), 24)
        self.go(page, "r", "Done again")
        self.assertEqual(page.evaluate(KEPT), 20)

        # A selection by clicks becomes a person with a name.
        tile = {name: page.evaluate("document.querySelector(\".tile[title^='" + name +
                                    "']\").id") for name in ("p1_00", "p1_02")}
        page.click("#" + tile["p1_00"])
        page.click("#" + tile["p1_02"], shift=True)
        chosen = page.evaluate("document.querySelectorAll('.tile.selected').length")
        self.assertGreaterEqual(chosen, 2)
        self.go(page, "s", f"Moved {chosen} faces to a new person")
        page.key("n")
        page.write("Anna")
        self.go(page, "Enter", "is Anna")
        page.wait("[...document.querySelectorAll('.head h2')].some("
                  "(h) => h.textContent.startsWith('Anna'))")

        # By mark, and what extraction refused.
        page.evaluate("(() => { const m = document.querySelector('#mark'); m.value = 'blurred';"
                      " m.dispatchEvent(new Event('change')); })()")
        page.evaluate("document.querySelector('#list').focus()")
        page.key("A")
        self.go(page, "d", "Dropped 3 faces")
        self.assertEqual(page.evaluate(KEPT), 17)
        page.evaluate("(() => { const set = (id, v) => { const m = document.querySelector(id);"
                      " m.value = v; m.dispatchEvent(new Event('change')); }; set('#mark', '');"
                      " set('#shown', 'refused'); })()")
        page.wait("document.querySelectorAll('.tile').length === 2")
        self.assertIn("no face by the mesh", page.evaluate(
            "document.querySelector('.tile span').textContent"))
        page.evaluate("document.querySelector('#list').focus()")
        self.go(page, "k", "Kept 1 face")
        self.assertEqual(page.evaluate(KEPT), 18)

        # An eye set by hand.
        page.evaluate("(() => { const m = document.querySelector('#shown'); m.value = 'all';"
                      " m.dispatchEvent(new Event('change')); })()")
        page.evaluate("document.querySelector('#list').focus()")
        page.key("0")
        page.key("Enter")
        page.wait("document.querySelector('#large').open && "
                  "document.querySelector('#eye0').style.left !== ''")
        page.key("x")
        before = page.middle("#eye0")
        page.drag("#eye0", 24, -12)
        page.wait(f"{STATUS}.includes('eyes are set')")
        after = page.middle("#eye0")
        self.assertAlmostEqual(after[0] - before[0], 24, delta=1.5)
        self.assertAlmostEqual(after[1] - before[1], -12, delta=1.5)
        self.shot(page, "eyes")

        # A landmark takes all others and both eyes along.
        page.wait("document.querySelector('#eye1').style.left !== ''")
        eye = page.middle("#eye1")
        x, y = self.on_screen(page, 0, 152)
        page.drag_from(x, y, 0, 15)
        page.wait(f"document.querySelector('#eye1').getBoundingClientRect().y > {eye[1]} - 5")
        self.assertAlmostEqual(page.middle("#eye1")[1] - eye[1], 15, delta=1.5)
        page.wait("fetch('/api/state/0').then((r) => r.json()).then((s) => s.undoable === 7)")
        page.key("Escape")
        page.key("1")
        page.key("Enter")
        page.wait("document.querySelector('#large-name').textContent.startsWith('p1_') && "
                  "performance.getEntriesByType('resource').some("
                  "(e) => e.name.includes('/mask/'))")
        self.shot(page, "mask")
        page.key("Escape")

        # Reloaded, and served by another process: all is kept.
        rows = "[...document.querySelectorAll('.head h2, .head .soft')].map((e) => e.textContent)"
        state = sorted(page.evaluate(rows))
        for again in range(2):
            if again:
                page.click("#done")
                page.wait("document.querySelector('#over').open")
                self.shot(page, "done")
                self.assertEqual(review.process.wait(timeout=20), 0)
                review = self.start(self.folder)
                page.open(review.address)
            else:
                page.send("Page.reload")
            page.wait("document.querySelector('.tile img')?.naturalWidth > 0")
            self.assertEqual(page.evaluate(KEPT), 18)
            self.assertEqual(sorted(page.evaluate(rows)), state)
            self.assertEqual(page.evaluate(
                "[...document.querySelectorAll('.corner')].filter((c) => !c.hidden).length"), 1)
        page.key("?")
        self.shot(page, "keys")
        self.assertEqual(page.faults(), [])

    def test_two_sets_are_tabs(self):
        first, second = os.path.join(self.folder, "a"), os.path.join(self.folder, "b")
        os.makedirs(self.folder)
        face_sets.small(first)
        face_sets.small(second)
        review = self.start(first, second)
        page = self.open(review)
        self.go(page, "d", "Dropped 1 face")
        page.key("]")
        page.wait(f"{KEPT} === 24")
        self.go(page, "d", "Dropped 1 face")
        self.assertEqual(page.evaluate("document.querySelector('#command').textContent"),
                         f"doppel train -A {first} -B {second} -m model")
        page.key("[")
        page.wait(f"{KEPT} === 23")
        self.go(page, "u", "Undone")
        self.assertEqual(page.evaluate(KEPT), 24)
        self.assertEqual(page.faults(), [])
        review.process.send_signal(signal.SIGINT)
        self.assertEqual(review.process.wait(timeout=20), 128 + signal.SIGINT)

    def test_another_page_changes_nothing(self):
        face_sets.small(self.folder)
        review = self.start(self.folder)
        page = self.open(review)
        stranger = browser.Page(self.browser)
        stranger.open("data:text/html,<title>stranger</title>")
        stranger.wait("document.title === 'stranger'")
        root = review.address.split("?")[0]
        read = stranger.evaluate(f"fetch('{root}api/state/0', {{credentials: 'include'}})"
                                 ".then(() => 'read', () => 'refused')")
        self.assertEqual(read, "refused")
        stranger.evaluate(f"fetch('{root}api/change/0', {{method: 'POST', mode: 'no-cors', "
                          "credentials: 'include', body: '{\"do\":\"drop\",\"faces\":[0]}'})"
                          ".then(() => 'sent', () => 'sent')")
        self.assertEqual(page.evaluate("fetch('/api/state/0').then((r) => r.json())"
                                       ".then((s) => s.kept)"), 24)

    def test_many_faces_scroll(self):
        face_sets.large(self.folder, MANY)
        review = self.start(self.folder)
        for width, height in ((1280, 720), (3840, 2160)):
            page = self.open(review, width, height)
            page.key("E")
            page.wait("document.querySelector('#list').scrollHeight > 20000")
            frames = page.evaluate(SCROLL)
            print(f"{MANY} faces at {width}x{height}: frames of {frames['median']:.1f} ms, 95 % "
                  f"within {frames['p95']:.1f}, worst {frames['worst']:.1f}; at most "
                  f"{frames['most']} elements", file=sys.stderr)
            self.assertLess(frames["most"], 6000)  # all tiles would be 20,000
            page.wait(f"{IN_SIGHT}.length > 20 && {IN_SIGHT}.every((i) => i.naturalWidth > 0)")
            self.shot(page, f"many_{width}")
            self.assertEqual(page.faults(), [])


if __name__ == "__main__":
    if browser.find() is None:
        print("skipped: no chromium; tools/install_deps.sh test installs it", file=sys.stderr)
        sys.exit(77)
    os.makedirs(FOLDER, exist_ok=True)
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:], verbosity=2)
