"""The named exceptions of lint's rules: scripts/exceptions.txt."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Exceptions:
    """Places excused from one rule; remembers which were needed."""

    def __init__(self, rule):
        self.rule = rule
        self.places = {}
        self.used = set()
        for line in (ROOT / "scripts/exceptions.txt").read_text().splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            name, place, reason = line.split(None, 2)
            if name == rule:
                self.places[place] = reason

    def excuse(self, place):
        if place in self.places:
            self.used.add(place)
            return True
        return False

    def unused(self):
        return [f"scripts/exceptions.txt: {self.rule} {place} excuses nothing: remove the line"
                for place in self.places if place not in self.used]
