"""An installed moonlatch is whole, knows no place of its builder, and can be moved.

    test_install.py CMAKE BUILD_DIR SOURCE_DIR SANITIZERS"""

import gzip
import os
import re
import subprocess
import sys
import tempfile
import unittest

CMAKE, BUILD, SOURCE, SANITIZE = sys.argv[1:5]
HERE = os.path.dirname(os.path.abspath(__file__))
FLAGS = ["-fsanitize=" + SANITIZE] if SANITIZE else []
WAIT_S = 120


def run(*command, **env):
    r = subprocess.run(command, env={**os.environ, "LC_ALL": "C.UTF-8", **env},
                       capture_output=True, timeout=WAIT_S)
    if r.returncode != 0:
        raise AssertionError("%s: exit %d\n%s%s" % (
            " ".join(command), r.returncode, r.stdout.decode(), r.stderr.decode()))
    return r.stdout.decode()


def files_below(root):
    return sorted(os.path.relpath(os.path.join(d, f), root)
                  for d, _, files in os.walk(root) for f in files)


def api():
    """The functions that moonlatch.h marks."""
    with open(os.path.join(SOURCE, "core", "moonlatch.h"), encoding="utf-8") as f:
        return sorted(re.findall(r"^ML_API [^;(]*?(\w+)\(", f.read(), re.M))


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory(prefix="moonlatch-install-")
        cls.home = cls.dir.name
        first = os.path.join(cls.home, "first")
        run(CMAKE, "--install", BUILD, "--prefix", first)
        cls.root = os.path.join(cls.home, "moved")
        os.rename(first, cls.root)
        cls.files = files_below(cls.root)
        cls.lib = os.path.dirname(cls.path("libmoonlatch.a"))
        cls.program = cls.path("bin/moonlatch")
        cls.pc = {"PKG_CONFIG_PATH": os.path.join(cls.lib, "pkgconfig")}

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    @classmethod
    def path(cls, end):
        found = [f for f in cls.files if ("/" + f).endswith("/" + end)]
        if len(found) != 1:
            raise AssertionError("%s: installed %d times" % (end, len(found)))
        return os.path.join(cls.root, found[0])

    def read(self, end):
        with open(self.path(end), "rb") as f:
            return f.read()

    def verbs(self):
        return re.findall(r"^  (\w[\w-]*(?: [\w-]+)?)  +", run(self.program, "help"), re.M)

    def test_whole(self):
        for end in ["include/moonlatch.h", "libmoonlatch.so", "libmoonlatch.so.0",
                    "pkgconfig/moonlatch.pc", "cmake/moonlatch/moonlatchConfig.cmake",
                    "share/moonlatch/meta/moonlatch_policy.lua",
                    "share/moonlatch/examples/hello.c", "examples/source/vault.lua",
                    "doc/moonlatch/README.md"]:
            self.path(end)
        for shell, end in [("bash", "bash-completion/completions/moonlatch"),
                           ("zsh", "_moonlatch"), ("fish", "moonlatch.fish")]:
            self.assertEqual(run(self.program, "completion", shell), self.read(end).decode())

    def test_nothing_of_the_builder(self):
        roots = "|".join(re.escape(root) for root in (SOURCE, BUILD))
        watched = re.compile(("(%s)/[\\w/.+-]+\\.[ch]\\0" % roots).encode())
        for f in self.files:
            with open(os.path.join(self.root, f), "rb") as file:
                content = file.read()
            if f.endswith(".gz"):
                content = gzip.decompress(content)
            if SANITIZE:  # these name the source files that they watch, wherever they are
                content = watched.sub(b"", content)
            for place in (SOURCE, BUILD, os.path.join(self.home, "first")):
                self.assertFalse(place.encode() in content, "%s names %s" % (f, place))

    def test_destdir(self):
        stage = os.path.join(self.home, "stage")
        run(CMAKE, "--install", BUILD, "--prefix", "/opt/moonlatch", DESTDIR=stage)
        self.assertEqual(os.listdir(stage), ["opt"])
        self.assertEqual(files_below(os.path.join(stage, "opt", "moonlatch")), self.files)

    def symbols(self, end, *options):
        lines = run("nm", "-P", "--defined-only", *options, self.path(end)).splitlines()
        names = {line.split()[0] for line in lines if len(line.split()) > 1}
        return sorted(n for n in names if not n.startswith(("__odr_asan", "__asan")))

    def test_symbols(self):
        self.assertEqual(self.symbols("libmoonlatch.so", "-D"), api())
        self.assertEqual(self.symbols("libmoonlatch.a", "-g"), api())
        self.assertEqual(self.symbols("lua/5.4/moonlatch.so", "-D"), ["luaopen_moonlatch"])
        self.assertIn("libmoonlatch.so.0]", run("readelf", "-d", self.path("libmoonlatch.so")))

    def asked(self, program):
        self.assertEqual(run(program, LD_LIBRARY_PATH=self.lib), "installed")
        needed = run("readelf", "-d", program)
        self.assertEqual("libmoonlatch.so.0" in needed, "static" not in program, needed)

    def test_pkg_config(self):
        ask = os.path.join(HERE, "consumer", "ask")
        self.assertEqual(run("pkg-config", "--modversion", "moonlatch", **self.pc).strip(),
                         run(self.program, "version").split()[1])
        for kind in ["moonlatch", "moonlatch-static"]:
            words = run("pkg-config", "--cflags", "--libs", kind, **self.pc)
            for compiler, standard, source in [("gcc", "-std=c11", ask + ".c"),
                                               ("g++", "-std=c++17", ask + ".cc")]:
                program = os.path.join(self.home, compiler + "-" + kind)
                run(compiler, standard, "-pedantic", "-Wall", "-Wextra", "-Werror", *FLAGS,
                    source, "-o", program, *words.split())
                self.asked(program)
        self.assertNotIn("lua", run("pkg-config", "--libs", "moonlatch", **self.pc))
        words = run("pkg-config", "--libs", "--static", "moonlatch", **self.pc).split()
        self.assertLessEqual({"-llua5.4", "-lcurl", "-lcrypto"}, set(words))

    def test_cmake(self):
        out = os.path.join(self.home, "consumer")
        flags = " ".join(FLAGS)
        run(CMAKE, "-G", "Ninja", "-S", os.path.join(HERE, "consumer"), "-B", out,
            "-DCMAKE_PREFIX_PATH=" + self.root, CFLAGS=flags, CXXFLAGS=flags)
        run(CMAKE, "--build", out)
        for name in ["c_moonlatch", "cxx_moonlatch", "c_static", "cxx_static"]:
            self.asked(os.path.join(out, name))

    def test_lua(self):
        cpath = os.path.join(self.lib, "lua", "5.4", "?.so")
        env = {"LUA_CPATH": cpath, "LUA_CPATH_5_4": cpath, "LD_BIND_NOW": "1"}
        if "address" in SANITIZE:
            runtime = run("gcc", "-print-file-name=libasan.so").strip()
            env.update(LD_PRELOAD=os.path.realpath(runtime), ASAN_OPTIONS="detect_leaks=0")
        out = run("lua5.4", "-e", """
            local r = assert(require "moonlatch".open {
                policy_text = "local ml = require 'moonlatch.policy'\\n"
                    .. "return ml.policy { ml.rule 'HELLO' { from = ml.environment {} } }",
                env = { HELLO = "from Lua" } })
            io.write(assert(r:get "HELLO"):bytes())""", **env)
        self.assertEqual(out, "from Lua")

    def rendered(self, path):
        r = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", path],
                           env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100",
                                "MANPAGER": "cat", "GROFF_NO_SGR": "1"},
                           capture_output=True, timeout=WAIT_S)
        self.assertEqual((r.returncode, r.stderr), (0, b""), path)
        return re.sub(r".\x08", "", r.stdout.decode())

    def test_manual_of_verbs(self):
        verbs = self.verbs()
        self.assertIn("policy check", verbs)
        overview = self.rendered(self.path("man1/moonlatch.1.gz"))
        for verb in verbs:
            self.assertRegex(overview, r"\n +%s\b" % verb)
            page = self.rendered(self.path(
                "man1/moonlatch-%s.1.gz" % verb.replace(" ", "-")))
            told = run(self.program, "help", *verb.split())
            for flag in re.findall(r"^ +(?:-\w, )?(--[\w-]+)", told, re.M):
                self.assertIn(flag, page, verb)
        pages = [f for f in self.files if "/man1/" in f]
        self.assertEqual(len(pages), len(verbs) + 1)

    def test_manual_of_library(self):
        page = self.rendered(self.path("man3/moonlatch.3.gz"))
        names = api()
        self.assertIn("ml_open", names)
        for name in names:
            self.assertRegex(page, r"[ *]%s\(" % name)
            self.assertEqual(gzip.decompress(self.read("man3/%s.3.gz" % name)),
                             b".so man3/moonlatch.3\n")
        self.assertIn("ML_EUNAVAILABLE (-6)", page)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
