"""Every example of lua/README.md and README.md that is Lua does what it says: `policy
check` finds no error in it, and its own cases pass.

    test_docs.py SOURCE_DIR PROGRAM

A ```lua block is a whole policy when it begins with local ml = require; anything else is
what stands in ml.policy { ... }, behind the block that is marked <!-- prelude -->.  A
first line `-- teams/billing.lua` makes it a file beside the next policy.  Blocks without
cases are marked <!-- fragment --> in the line before: they are loaded."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE, PROGRAM = sys.argv[1:3]
WAIT_S = 60
HEAD = 'local ml = require "moonlatch.policy"\n'
BLOCK = re.compile(r"(?:^<!-- (\w+) -->\n)?^```lua\n(.*?)^```$", re.M | re.S)
BESIDE = re.compile(r"-- (\S+/\S+\.lua)\n")
VARIABLE = re.compile(r'ml\.env(?:_secret)? ?\(?"(\w+)"')
# What an example may be told: of a short one, that it does not use the whole prelude.
USUAL = {"collision", "may-collide", "no-inverse", "transform"}


class Block:
    def __init__(self, path, text, match):
        self.mark, self.text = match.group(1), match.group(2)
        self.where = "%s:%d" % (path, text[:match.start(2)].count("\n") + 1)
        beside = BESIDE.match(self.text)
        self.file = beside.group(1) if beside else None
        self.is_whole = self.file is not None or HEAD in self.text
        self.n_cases = len(re.findall(r"\bml\.case\b", self.text))


def blocks_of(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as f:
        text = f.read()
    return [Block(path, text, m) for m in BLOCK.finditer(text)], text.count("```lua")


class Folder:
    """A directory with one policy in it."""

    def __init__(self, text, beside=()):
        self.dir = tempfile.TemporaryDirectory(prefix="moonlatch-docs-")
        self.policy = self.write("policy.lua", text)
        for block in beside:
            self.write(block.file, block.text)
        self.flags = ["--allow-exec"] if "source.exec" in text else []
        names = VARIABLE.findall(text + "".join(b.text for b in beside))
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir.name}
        for name in names:
            self.env[name] = "https://acme-%d.vault.azure.net" % len(self.env) \
                if "URL" in name else "11111111-2222-3333-4444-555555555555"

    def write(self, name, text):
        path = os.path.join(self.dir.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def run(self, *args):
        r = subprocess.run([PROGRAM, "policy", args[0], self.policy, *args[1:], *self.flags],
                           env=self.env, capture_output=True, timeout=WAIT_S)
        return r.returncode, r.stdout.decode(), r.stderr.decode()

    def problem(self, n_cases, usual):
        """What `policy check` and `policy test` have against it, or None."""
        code, out, err = self.run("check", "--json")
        if code != 0:
            return err + out
        for f in json.loads(out)["findings"]:
            if f["what"] not in usual:
                return "%(where)s: %(severity)s: %(text)s" % f
        if n_cases == 0:
            return None
        code, out, err = self.run("test")
        if code != 0:
            return out + err
        if "1..%d\n" % n_cases not in out:
            return "not all of its %d cases ran:\n%s" % (n_cases, out)
        return None


def problem_of(block, prelude, beside):
    text, usual = block.text, USUAL
    if not block.is_whole:
        text = prelude + "return ml.policy {\n" + text + "}\n"
        usual = USUAL | {"unused-source"}
    n_cases = block.n_cases + sum(b.n_cases for b in beside)
    if n_cases == 0 and block.mark != "fragment":
        return "it has no cases"
    folder = Folder(text, beside)
    try:
        return folder.problem(n_cases, usual)
    finally:
        folder.dir.cleanup()


class Docs(unittest.TestCase):
    def look_at(self, path, least):
        blocks, n = blocks_of(path)
        self.assertEqual(len(blocks), n, "a ```lua block of %s does not end" % path)
        self.assertGreaterEqual(n, least)
        prelude, beside = None, []
        for block in blocks:
            if block.mark == "prelude":
                prelude = block.text
            elif block.file:
                beside.append(block)
            else:
                with self.subTest(block.where):
                    self.assertIsNone(problem_of(block, prelude, beside), block.where)
                beside = []
        self.assertEqual(beside, [], "a file of a team, but no policy behind it")

    def test_policy_language(self):
        self.look_at("lua/README.md", 20)

    def test_readme(self):
        self.look_at("README.md", 1)

    def test_mistakes_are_found(self):
        rule = HEAD + 'return ml.policy { ml.rule "a/*" { from = ml.environment {}, %s }, %s }\n'
        for options, rest, told in [
                ("", "", "no cases"),
                ("form = 1", 'tests = { ml.case "a/b" { plan = "environment:a/b" } }', "'form'"),
                ("", 'tests = { ml.case "a/b" { plan = "environment:b" } }', "the plan is"),
                ("", 'ml.rule "a/b" { from = ml.dotenv { path = "x" } }, '
                     'tests = { ml.case "a/c" { plan = "environment:a/c" } }', "never decides")]:
            match = BLOCK.search("```lua\n" + rule % (options, rest) + "```\n")
            problem = problem_of(Block("p", "", match), "", [])
            self.assertIn(told, problem or "nothing")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
