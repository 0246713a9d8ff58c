"""What programs compiled against moonlatch.h rely on, compared with the last release.

    abi.py HEADER LIBRARY LUA_MODULE RELEASE_FILE            compares
    abi.py --write HEADER LIBRARY LUA_MODULE RELEASE_FILE    renews the file: at a release

Facts, a line each: prototypes, types, enumerators with their values, fields with their
offsets, sizes of structs, the library's name.  Types and names are read from the header,
numbers come from the compiler, so nothing has to be listed by hand.

Lines of the file must still hold; new ones are fine.  A struct with a `size` may grow
behind its end: programs say how much of it they know.  Whatever else changes needs another ML_ABI, and
a file of its name.  The library exports what the header declares, and nothing else."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

CC = ["cc", "-std=c11"]
ENDS = ("_LAST", "_COUNT")  # enumerators that move with every addition


def run(*command, **how):
    return subprocess.run(command, check=True, capture_output=True, text=True, **how).stdout


def own_text(header):
    """The preprocessed text that comes from the header itself."""
    kept, own = [], False
    for line in run(*CC, "-E", header).splitlines():
        mark = re.match(r'# \d+ "(.*?)"', line)
        if mark:
            own = mark.group(1) == header
        elif own:
            kept.append(line)
    text = re.sub(r"__attribute__ ?\(\((?:[^()]|\([^()]*\))*\)\)", "", " ".join(kept))
    return re.sub(r"\s+", " ", text)


def declarations(text):
    """Split at the semicolons outside of braces."""
    depth, start = 0, 0
    for i, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if c == ";" and depth == 0:
            yield text[start:i].strip()
            start = i + 1
    assert depth == 0 and not text[start:].strip(), text[start:]


def field_name(declaration):
    function = re.search(r"\(\*(\w+)\)", declaration)
    return function.group(1) if function else re.search(r"(\w+)(?:\[.*\])?$", declaration).group(1)


def parse(text):
    """Plain facts; structs as (name, [field declarations]); enumerators."""
    facts, structs, enumerators = [], [], []
    for d in declarations(text):
        body = re.match(r"(typedef )?(struct|enum)(?: \w+)? ?\{(.*)\} ?(\w*)$", d)
        if not body:
            facts.append(("type " if d.startswith("typedef") else "function ") + d)
        elif body.group(2) == "enum":
            enumerators += [e.split("=")[0].strip() for e in body.group(3).split(",") if e.strip()]
        else:
            fields = [f.strip() for f in body.group(3).split(";") if f.strip()]
            structs.append((body.group(4), fields))
    return facts, structs, enumerators


def measure(header, expressions):
    """The values of these C expressions."""
    lines = "".join(f'    printf("%lld\\n", (long long)({e}));\n' for e in expressions)
    with tempfile.TemporaryDirectory() as home:
        source, program = Path(home, "abi.c"), Path(home, "abi")
        source.write_text(f'#include "{header}"\n#include <stdio.h>\nint main(void)\n'
                          f"{{\n{lines}    return 0;\n}}\n", encoding="utf-8")
        run(*CC, str(source), "-o", str(program))
        return list(map(int, run(str(program)).split()))


def facts_of(header, library):
    facts, structs, enumerators = parse(own_text(header))
    asked = [(f"value {e} = ", e) for e in enumerators if not e.endswith(ENDS)]
    for name, fields in structs:
        may_grow = " or more" if fields[0] == "size_t size" else ""
        asked.append((f"size of {name}{may_grow} = ", f"sizeof({name})"))
        asked += [(f"field {name}: {f} at ", f"offsetof({name}, {field_name(f)})") for f in fields]
    asked.append(("size of a pointer = ", "sizeof(void *)"))
    asked.append(("ML_ABI = ", "ML_ABI"))
    numbers = measure(header, [expression for _, expression in asked])
    facts += [text + str(n) for (text, _), n in zip(asked, numbers)]
    facts += re.findall(r"soname: \[(.*)\]", run("readelf", "-d", library, env={"LC_ALL": "C"}))
    return facts


def exported(library):
    names = (line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines())
    return {n for n in names if not n.startswith("_")}


def sizes(facts):
    found = (re.match(r"size of (\w+) or more = (\d+)", f) for f in facts)
    return {m.group(1): int(m.group(2)) for m in found if m}


def differences(old, new):
    """What a program of the release would not survive."""
    was, now = sizes(old), sizes(new)
    for fact in old:
        growing = re.match(r"size of (\w+) or more", fact)
        if fact not in new and not (growing and now.get(growing.group(1), 0) >=
                                    was[growing.group(1)]):
            yield f"gone or changed: {fact}"
    for fact in new:
        field = re.match(r"field (\w+): .* at (\d+)$", fact)
        if fact not in old and field and int(field.group(2)) < was.get(field.group(1), 0):
            yield f"where old programs have padding: {fact}"


# Changes of the header: what to replace, by what, and whether old programs survive.
CHANGES = [
    ("ML_API int ml_step(", "int ml_one_more(void);\nML_API int ml_step(", True),
    ("ml_step(ml_resolver *r, int max_wait_ms)", "ml_step(ml_resolver *r)", False),
    ("ML_API void ml_wake(ml_resolver *r);", "", False),
    ("    const char *traceparent; /* W3C: what",
     "    const char *traceparent; int64_t more; /* W3C: what", True),
    ("    unsigned flags;", "    int64_t more; unsigned flags;", False),
    ("    unsigned flags;", "    uint64_t flags;", False),
    ("    bool allow_exec;", "    bool allow_exec; bool more;", False),
    ("    char text[400];", "    char text[400]; int more;", False),
    ("    ML_VERB_COUNT", "    ML_ONE_MORE, ML_VERB_COUNT", True),
    ("    ML_PUT, ", "    ML_ONE_MORE, ML_PUT, ", False),
]


def self_test(header, library):
    text, old = Path(header).read_text(encoding="utf-8"), facts_of(header, library)
    for what, by, survives in CHANGES:
        with tempfile.TemporaryDirectory() as home:
            changed = Path(home, "moonlatch.h")
            assert what in text, what
            changed.write_text(text.replace(what, by, 1), encoding="utf-8")
            found = list(differences(old, facts_of(str(changed), library)))
            assert survives == (not found), f"{by}: {found}"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    header, library, module, release = arguments
    header = str(Path(header).resolve())
    new = facts_of(header, library)
    if "--write" in sys.argv:
        Path(release).write_text("".join(f"{fact}\n" for fact in new), encoding="utf-8")
        return 0
    self_test(header, library)
    problems = list(differences(Path(release).read_text(encoding="utf-8").splitlines(), new))
    declared = {m.group(1) for m in (re.match(r"function .*?(ml_\w+)\(", f) for f in new) if m}
    symbols = exported(library)
    problems += [f"declared, not exported: {s}" for s in sorted(declared - symbols)]
    problems += [f"exported, not declared: {s}" for s in sorted(symbols - declared)]
    problems += [f"exported by the Lua module, or not: {s}" for s in
                 sorted(exported(module) ^ {"luaopen_moonlatch"})]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
