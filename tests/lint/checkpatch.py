# SPDX-License-Identifier: GPL-2.0-only
"""Which of checkpatch's complaints count: all but those listed here, each with the reason why it is wrong there."""

import pathlib
import re
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
# A reason that suits one line only is none: change the line.
EXCEPTIONS = [
    # types, where (file), which lines, why
    ("CAMELCASE", r"^driver/", r"(Set|Clear|Test)?Page[A-Z]\w+\(",
     "the kernel's own names of page flags, which checkpatch knows only in a kernel tree"),
    ("LINUX_VERSION_CODE|CONSTANT_COMPARISON", r"^include/compat/", r"LINUX_VERSION_CODE",
     "this is where versions may be asked for, when nothing else tells"),
    ("MACRO_ARG_UNUSED", r"^include/compat/", r"",
     "a shim drops what the older function did not take"),
    ("OPEN_ENDED_LINE|PARENTHESIS_ALIGNMENT", r"^driver/trace\.h$", r"", "TRACE_EVENT() is no call, and is written this way everywhere"),
    ("COMPLEX_MACRO|MACRO_ARG_REUSE", r"^tests/unit/", r"CASES\(X\)", "a list to apply a macro to cannot be in parentheses"),
    ("CAMELCASE|PREFER_KERNEL_TYPES|MULTIPLE_ASSIGNMENTS", r"^tests/unit/host/", r"", "names, types and habits of QEMU, whose policy it is"),
    ("PREFER_KERNEL_TYPES", r"^tests/unit/policy_user\.h$", r"^typedef ", "it defines the kernel's types"),
    ("PREFER_KERNEL_TYPES|PREFER_DEFINED_ATTRIBUTE_MACRO|ARRAY_SIZE|EMBEDDED_FUNCTION_NAME", r"^tests/vm/programs/", r"",
     "programs of user space have no kernel headers, and no __func__ in what they tell users"),
    ("VOLATILE", r"^tests/vm/programs/", r"", "they touch memory for the touch's sake"),
    ("MULTIPLE_ASSIGNMENTS|STATIC_CONST_CHAR_ARRAY", r"^tests/vm/programs/", r"", "a matter of taste in user space"),
    ("LONG_LINE|LONG_LINE_COMMENT|LONG_LINE_STRING", r"^tests/vm/programs/", r"",
     "user space here is as wide as the scripts around it; the kernel's width is for kernel code"),
]
COMPLAINT = re.compile(r"^(\S+?):(\d+): (ERROR|WARNING|CHECK):(\w+): (.*)$")
# If it does not mind this it minds nothing.
BAD = "// SPDX-License-Identifier: GPL-2.0-only\nint bad(int a)\n{\n\tif(a)\n\t\treturn 1;\n\treturn 0;\n}\n"


def run(*names):
    return subprocess.run([str(TOP / "tests/lint/checkpatch.sh"), *names], capture_output=True, text=True)


def counts(name, line, kind):
    return not any(re.fullmatch(kinds, kind) and re.search(where, name) and re.search(which, line)
                   for kinds, where, which, _ in EXCEPTIONS)


def check(names):
    """All complaints that count."""
    (TOP / "build").mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".c", dir=TOP / "build") as bad:
        bad.write(BAD)
        bad.flush()
        done = run(f"build/{pathlib.Path(bad.name).name}")
        if "SPACING" not in done.stdout:
            why = done.stderr.strip().splitlines()
            return [f"it does not work: {why[-1] if why else 'it has nothing to say about bad code'}"]
    done = run(*names)
    broken = []
    for said in done.stdout.splitlines():
        match = COMPLAINT.match(said)
        if not match:
            if said.strip():
                broken.append(said)
        elif counts(match[1], (TOP / match[1]).read_text(errors="replace").splitlines()[int(match[2]) - 1], match[4]):
            broken.append(said)
    if done.returncode not in (0, 1) or (done.returncode and not done.stdout):
        broken.append(done.stderr.strip() or "it failed without a word")
    return broken
