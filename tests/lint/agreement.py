# SPDX-License-Identifier: GPL-2.0-only
"""The documentation and the driver agree, both ways: parameters, files in sysfs, lines of the log. Each returns what differs."""

import re

from docutils import nodes

from documents import documents, parse

GUIDE, ABI, INTERNALS = "Documentation/admin-guide.rst", "Documentation/abi.rst", "Documentation/internals.rst"
CONTRACT, SPEC, HEADER = "Documentation/protocol.rst", "Documentation/virtio-spec.tex", "include/uapi/linux/virtio_balloon_pressure.h"
PARAMS, SYSFS, MODULE = "driver/params.c", "driver/sysfs.c", "virtio_balloon_pressure"
STRING = r'"(?:[^"\\]|\\.)*"'
# The device's in every QEMU that is not too old.
STOCK = {"deflate-on-oom", "free-page-reporting"}
# Names of ours that end in these are parameters, files in sysfs, or fields of the contract; a document knows no others.
OURS = re.compile(r"[a-z]\w*_(pages|pct|ms|pressure|episodes|events|wakeups)")


class Parameter:
    """One as the driver's source has it: name, words, default, smallest and largest value (None if it is no number), writable."""

    def __init__(self, name, words, default, limits, writable):
        self.name, self.words, self.default, self.limits, self.writable = name, words, default, limits, writable

    def said(self):
        """How its words must end."""
        limits = f"{self.limits[0]}-{self.limits[1]}, " if self.limits else ""
        return f"({limits}default {self.default})"


def _joined(literals):
    """A C string in several pieces."""
    return "".join(literal[1:-1] for literal in re.findall(STRING, literals)).replace('\\"', '"').replace("\\n", "")


def _number(tree, name):
    for header in ("driver/policy/policy.h", "driver/params.h"):
        if match := re.search(rf"^#define\s+{name}\s+(\d+)$", tree.text(header), re.M):
            return int(match[1])
    raise ValueError(f"{name} is no plain number in driver/policy/policy.h or driver/params.h")


def _initial(text, variable):
    """What a bool or an enum begins with, as its file in sysfs shows it."""
    match = re.search(rf"^static (\w+|enum \w+) {variable}(?: = (\w+))?;", text, re.M)
    if not match:
        raise ValueError(f"{PARAMS}: no variable {variable}")
    if match[1] == "bool":
        return "Y" if match[2] == "true" else "N"
    if word := re.search(rf'\[{match[2]}\] = "(\w+)"', text):
        return word[1]
    raise ValueError(f"{PARAMS}: {match[2]} has no name")


def parameters(tree):
    """{name: Parameter} of all that the driver declares; ValueError where this does not understand it."""
    text = tree.text(PARAMS)
    words = {name: _joined(literals) for name, literals in re.findall(rf"^MODULE_PARM_DESC\((\w+),\s*((?:{STRING}\s*)+)\);", text, re.M)}
    found = {}
    for name, *macros in re.findall(r"^VBP_PARAM\((\w+),\s*(\w+),\s*(\w+),\s*(\w+)\);", text, re.M):
        lowest, highest, initial = (_number(tree, macro) for macro in macros)
        found[name] = Parameter(name, words.get(name, ""), initial, (lowest, highest), True)
    for name, variable, mode in re.findall(r"^module_param_named\((\w+), (\w+), bool, (0\d+)\);", text, re.M):
        found[name] = Parameter(name, words.get(name, ""), _initial(text, variable), None, int(mode, 8) & 0o222)
    for name, mode in re.findall(r"^module_param_cb\((\w+), &\w+, NULL, (0\d+)\);", text, re.M):
        found[name] = Parameter(name, words.get(name, ""), _initial(text, f"vbp_params_{name}"), None, int(mode, 8) & 0o222)
    return found


def section_of(tree, document, title):
    """The section of that title."""
    for section in parse(tree.top / document)[0].findall(nodes.section):
        if section.next_node(nodes.title).astext() == title:
            return section
    raise ValueError(f"{document} has no section \"{title}\"")


def _definitions(section):
    """[(term, what is said of it)], each in one line."""
    items = section.findall(nodes.definition_list_item)
    return [tuple(" ".join(item.next_node(kind).astext().split()) for kind in (nodes.term, nodes.definition)) for item in items]


def parameters_agree(tree, declared):
    """Names, words, ranges, defaults, and which can be changed at run time. declared: the names that rules.py finds in the source."""
    known = parameters(tree)
    if not declared or set(known) != set(declared):
        return [f"{PARAMS}: the rule sees {', '.join(sorted(known))} of {', '.join(declared)}"]
    broken = []
    described = {term.removesuffix("†").strip(): (term.endswith("†"), text)
                 for term, text in _definitions(section_of(tree, GUIDE, "Parameters"))}
    broken += [f"{GUIDE}: there is no parameter {name}" for name in described if name not in known]
    for name, parameter in known.items():
        if not parameter.words.endswith(parameter.said()):
            broken.append(f"{PARAMS}: the words of {name} do not end with {parameter.said()}")
        if name not in described:
            broken.append(f"{GUIDE}: {name} is not in section Parameters")
            continue
        marked, text = described[name]
        if marked != bool(parameter.writable):
            broken.append(f"{GUIDE}: {name} {'cannot' if marked else 'can'} be changed at run time")
        if not text.startswith(f"{parameter.words}."):
            broken.append(f"{GUIDE}: {name} does not begin with the words that modinfo has: {parameter.words}.")
    return broken


def sysfs(tree):
    """Names of the driver's files there; ValueError if they are not all there is."""
    text = tree.text(SYSFS)
    named = re.findall(r"^VBP_SYSFS_NUMBER\((\w+),", text, re.M) + re.findall(r"^static DEVICE_ATTR_\w+\((\w+)\);", text, re.M)
    listed = re.findall(r"&dev_attr_(\w+)\.attr", text)
    if not named or sorted(named) != sorted(listed):
        raise ValueError(f"{SYSFS}: the rule sees {', '.join(sorted(set(named) ^ set(listed)))} in one place only")
    return listed


def sysfs_agrees(tree):
    """Each file has a line in the table, each line a file; all are read-only and in the folder that the document names."""
    elsewhere = [name for name in tree.driver()
                 if name != SYSFS and re.search(r"\bDEVICE_ATTR|\b__ATTR|\bdebugfs_create_", tree.text(name))]
    broken = [f"{name} makes files that the rule does not see" for name in elsewhere]
    document = parse(tree.top / ABI)[0]
    described = [row.next_node(nodes.literal).astext() for row in document.findall(nodes.row)]
    broken += [f"{ABI}: there is no file {name}" for name in described if name not in sysfs(tree)]
    broken += [f"{ABI}: {name} is not in the table" for name in sysfs(tree) if name not in described]
    broken += [f"{ABI}: {name} is there twice" for name in sorted(set(described)) if described.count(name) > 1]
    text = tree.text(SYSFS)
    folder = re.search(r'\.name = "(\w+)"', text)[1]
    if f"/{folder}``" not in tree.text(ABI):
        broken.append(f"{ABI} does not name the folder {folder}")
    if "Read-only" in tree.text(ABI) and re.search(r"DEVICE_ATTR_(?!RO\b)\w+", text):
        broken.append(f"{ABI} says that all are read-only, {SYSFS} has others")
    return broken


def names_known(tree):
    """What a document calls by a name like ours is a parameter, a file in sysfs or a field of the contract."""
    header = tree.text(HEADER)
    known = {*parameters(tree), *sysfs(tree), *re.findall(r"\b__le32\s+(\w+);", header), MODULE}
    broken = []
    for name in documents(tree):
        if name.endswith(".rst"):
            literals = {node.astext() for node in parse(tree.top / name)[0].findall(nodes.literal)}
        else:
            literals = set(re.findall(r"`([^`]+)`", tree.text(name)))
        broken += [f"{name}: nothing is called {word}" for word in sorted(literals) if OURS.fullmatch(word) and word not in known]
    return broken


def _printed(tree):
    """All that the driver can say. Of a line that is nothing but a value it is the texts that the value is chosen from."""
    calls = rf"\b(?:pr|dev)_(?:info|warn|err|notice)\w*\([^\";]*((?:{STRING}\s*)+)([^;]*);"
    texts = []
    for name in tree.under("driver/", "include/compat/"):
        for literals, values in re.findall(calls, tree.text(name)):
            text = _joined(literals)
            said = bool(re.sub(r"%[a-z]+", "", text).strip())
            texts += [text] if said else [_joined(choice) for choice in re.findall(rf"[?:]\s*((?:{STRING}\s*)+)", values)]
    # Where there is no device to name, the module names itself.
    return [re.sub(rf"^(?:{MODULE}|%s): ", "", text) for text in texts]


def _explains(line, text):
    """Whether a line of the guide is what the driver says with some values."""
    start = line.removesuffix("…").rstrip()
    if start != line:
        # What is cut off there is cut off where the same sign comes first.
        text = text.partition(start[-1])[0] + start[-1]
    return bool(re.fullmatch(re.sub(r"%[a-z]+", ".*", re.escape(text)), start))


def log_agrees(tree):
    """Each line that the driver can print is in the guide, and no other. What it prints a value for may be called anything."""
    printed = _printed(tree)
    section = section_of(tree, GUIDE, "What the log says")
    terms = [node.astext() for term in section.findall(nodes.term) for node in term.findall(nodes.literal)]
    broken = [] if terms and printed else [f"{GUIDE}: the rule no longer sees any line of the log"]
    broken += [f"{GUIDE}: the driver never says \"{line}\"" for line in terms if not any(_explains(line, text) for text in printed)]
    broken += [f"{GUIDE}: \"{text}\" is not explained" for text in printed if not any(_explains(line, text) for line in terms)]
    return broken


def _constants(tree):
    """{name: value} of the driver's that are plain numbers, or another of these."""
    text = "\n".join(tree.text(name) for name in tree.under("driver/"))
    defined = dict(re.findall(r"^#define\s+(VBP_\w+)\s+(\w+)\s*(?:/\*.*)?$", text, re.M))
    return {name: int(number) for name, value in defined.items() if (number := defined.get(value, value)).isdigit()}


def constants_agree(tree):
    """The numbers that the policy goes by and the table of them. Those that are a parameter's range are with the parameters."""
    known = _constants(tree)
    policy = "\n".join(tree.text(name) for name in tree.under("driver/policy/"))
    ours = {name for name in known if re.search(rf"^#define\s+{name}\b", policy, re.M) and f" {name}" not in tree.text(PARAMS)}
    rows = [[entry.astext() for entry in row.findall(nodes.entry)] for row in section_of(tree, INTERNALS, "The constants").findall(nodes.row)]
    told = {row[0]: row[1] for row in rows if row[0].startswith("VBP_")}
    broken = [] if ours and told else [f"{INTERNALS}: the rule no longer sees any constant"]
    broken += [f"{INTERNALS}: {name} is not in the table" for name in sorted(ours - set(told))]
    for name, value in told.items():
        if not re.search(rf"#define\s+{name}\b", "\n".join(tree.text(source) for source in tree.under("driver/"))):
            broken.append(f"{INTERNALS}: the driver has no {name}")
        elif name in known and value != str(known[name]):
            broken.append(f"{INTERNALS}: {name} is {known[name]}, not {value}")
    return broken


def _value(text, defined):
    """What a C constant of numbers, products and other constants comes to; None if it is something else: nothing else is evaluated."""
    text = re.sub(r"\b[A-Z]\w+\b", lambda name: f"({defined.get(name[0], 'x')})", re.sub(r"(\d)u?ll\b", r"\1", text))
    return eval(text, {"__builtins__": {}}) if re.fullmatch(r"[\d\s()*+-]+", text) else None


def host_constants_agree(tree):
    """The numbers that the host's policy goes by and the table of them."""
    text = "\n".join(tree.text(name) for name in tree.under("qemu/policy/"))
    defined = dict(re.findall(r"^#define (\w+) +(\S.*)$", text, re.M))
    known = {name: _value(value, defined) for name, value in defined.items()}
    told = {}
    for row in section_of(tree, INTERNALS, "The host's policy").findall(nodes.row):
        cells = [entry.astext() for entry in row.findall(nodes.entry)]
        if cells[1].partition(" ")[0].isdigit():
            number, _, unit = cells[1].partition(" ")
            told[cells[0]] = int(number) << (20 if unit == "MiB" else 0)
    broken = [] if known and told else [f"{INTERNALS}: the rule no longer sees any constant of the host's policy"]
    broken += [f"{INTERNALS}: {name} is not in the table" for name in sorted(set(known) - set(told))]
    broken += [f"{INTERNALS}: the host's policy has no {name}" for name in sorted(set(told) - set(known))]
    return broken + [f"{INTERNALS}: {name} is {known[name]}, not {value}" for name, value in told.items() if known.get(name, value) != value]


def _layout(text):
    """[(field, the number in the comment behind it or None)] of the config space, which ends at the first brace."""
    body = re.search(r"struct virtio_balloon_pressure_config \{(.*?)\}", text, re.S)
    return re.findall(r"^\s*(?:__)?le32\s+(\w+);(?:\s*/\*\s*(?:offset )?(\d+))?", body[1], re.M) if body else []


def contract_agrees(tree):
    """The wire header, the contract and its form for the specification: the same fields at the same places, the same bit and levels."""
    header, contract, spec = (tree.text(name) for name in (HEADER, CONTRACT, SPEC))
    fields = [field for field, _ in _layout(header)]
    numbers = dict(re.findall(r"^#define (VIRTIO_BALLOON_\w+)\s+(\w+?)U?\s*(?:/\*.*)?$", header, re.M))
    if len(fields) < 9 or len(numbers) < 7:
        return [f"{HEADER}: the rule no longer sees the config space and the levels"]
    broken = []
    for name, text in ((CONTRACT, contract), (SPEC, spec)):
        told = _layout(text)
        if told != [(field, str(4 * number)) for number, field in enumerate(fields)]:
            broken.append(f"{name}: the config space is not that of {HEADER}: {told}")
    bit = numbers.pop("VIRTIO_BALLOON_F_PRESSURE")
    if f"``VIRTIO_BALLOON_F_PRESSURE`` ({bit})" not in contract:
        broken.append(f"{CONTRACT}: the feature is not bit {bit}")
    if f"\\item[VIRTIO_BALLOON_F_PRESSURE ({bit})]" not in spec:
        broken.append(f"{SPEC}: the feature is not bit {bit}")
    for name, number in numbers.items():
        level = name.removeprefix("VIRTIO_BALLOON_PRESSURE_")
        if not re.search(rf"\\item\[{name} \({number}\)\]|#define {name}\s+{number}\s", spec):
            broken.append(f"{SPEC}: {name} is not {number}")
        if not level.endswith(("_MASK", "_SHIFT")) and not re.search(rf"^\s*{number}  {level.lower()}\s", contract, re.M):
            broken.append(f"{CONTRACT}: level {number} is not {level.lower()}")
    known = {*numbers, "VIRTIO_BALLOON_F_PRESSURE"}
    broken += [f"{SPEC}: no field is called {field}" for field in sorted(set(re.findall(r"\\field\{(\w+)\}", spec)) - set(fields))]
    broken += [f"{SPEC}: nothing is called {name}" for name in sorted(set(re.findall(r"\bVIRTIO_BALLOON_PRESSURE_\w+", spec)) - known)]
    return broken + _spec_is_whole(spec)


def _spec_is_whole(spec):
    """What LaTeX would complain about, as far as reading tells; and the list of what a conforming driver or device has to look at."""
    text = re.sub(r"(?<!\\)%.*", "", spec)
    broken = []
    if text.count("{") != text.count("}"):
        broken.append(f"{SPEC}: a brace is not closed")
    open_parts = []
    for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if what == "begin":
            open_parts.append(name)
        elif not open_parts or open_parts.pop() != name:
            broken.append(f"{SPEC}: \\end{{{name}}} closes nothing")
    broken += [f"{SPEC}: \\begin{{{name}}} is not closed" for name in open_parts]
    sections = [f"{side}normative:{place}" for side, place in re.findall(r"\\(driver|device)normative\{[^}]*\}\{[^}]*\}\{([^}]*)\}", text)]
    listed = re.findall(r"^% \\item \\ref\{([^}]*)\}", spec, re.M)
    if not sections or sorted(sections) != sorted(listed):
        broken.append(f"{SPEC}: the lines for the conformance clauses are not its sections: {sorted(set(sections) ^ set(listed))}")
    return broken
