# SPDX-License-Identifier: GPL-2.0-only
"""The operator's guide for the host and the series for QEMU agree, both ways. Each returns what differs."""

import re

from docutils import nodes

from agreement import GUIDE, STOCK, STRING, section_of
from documents import parse

HOST_GUIDE, COVER = "Documentation/host-guide.rst", "qemu/patches/0000-cover-letter.txt"
# What every QEMU has and the guide uses.
STOCK_COMMANDS, STOCK_EVENTS = {"add-fd", "balloon", "qmp_capabilities", "qom-set"}, {"BALLOON_CHANGE"}
# How recipes set a property, but for the list behind the device's name.
SETTINGS = (r"<qemu:property name='([^']+)'", r"-global virtio-balloon-pci\.([\w-]+)=", r'"property": "([^"]+)"')
MESSAGE = re.compile(rf"\b(?:error_setg|error_setg_errno|error_set|error_report|error_reportf_err|error_prepend|error_append_hint|error_printf|"
                     rf"warn_report)\((?:[^\";]*?,\s*)?((?:{STRING}\s*(?:PRI\w+\s*)?)+)")


def patches(tree):
    """Names of the series' patches, in their order."""
    return sorted(tree.under("qemu/patches/", suffixes=(".patch",)))


def _added(tree):
    """All lines that the series adds, to code and to QAPI, but not those of its tests."""
    lines, wanted = [], False
    for name in patches(tree):
        for line in tree.lines(name):
            if line.startswith("+++ "):
                wanted = not line.startswith(("+++ b/tests/", "+++ b/docs/"))
            elif wanted and line.startswith("+"):
                lines.append(line[1:])
    return "\n".join(lines)


def _table(tree, title, head):
    """{each literal of a row's first cell: the row's cells} of the section's table whose head begins so."""
    for table in section_of(tree, HOST_GUIDE, title).findall(nodes.table):
        rows = list(table.findall(nodes.row))
        if rows and rows[0].next_node(nodes.entry).astext() == head:
            return {literal.astext(): [entry.astext() for entry in row.findall(nodes.entry)]
                    for row in rows[1:] for literal in row.next_node(nodes.entry).findall(nodes.literal)}
    raise ValueError(f"{HOST_GUIDE}: section \"{title}\" has no table of each {head}")


def _differ(what, told, known):
    return [f"{HOST_GUIDE}: no {what} is called {name}" for name in sorted(set(told) - set(known))] + \
           [f"{HOST_GUIDE}: the {what} {name} is not in the table" for name in sorted(set(known) - set(told))]


def properties(tree):
    """Names of the properties that the series adds."""
    return set(re.findall(r'^\s+(?:DEFINE_PROP_\w+\(|object_property_add(?:_str)?\(obj, )"([\w-]+)"', _added(tree), re.M))


def properties_agree(tree):
    """Each property has a row, each row a property; the defaults that are a number are the code's."""
    code, told = _added(tree), _table(tree, "Properties", "Property")
    broken = _differ("property", told, properties(tree))
    for name, macro, form in (("host-pressure-timeout", "TIMEOUT_S", "{}"), ("host-reserve", "RESERVE_PERCENT", "0: {} % of memory")):
        number = re.search(rf"^#define {macro} (\d+)$", code, re.M)
        if not number or told.get(name, ["", ""])[1] != form.format(number[1]):
            broken.append(f"{HOST_GUIDE}: the default of {name} is not {number and number[1]}")
    return broken


def answers_agree(tree):
    """Fields of the query and events are those of the series' QAPI."""
    code = _added(tree)
    fields = set()
    for struct in ("BalloonPressureInfo", "BalloonHostInfo"):
        bodies = re.findall(rf"'struct': '{struct}',\s*'data': \{{([^}}]*)", code)
        for body in bodies:
            fields |= {name.lstrip("*") for name in re.findall(r"'(\*?[\w-]+)':", body)}
    # A later patch adds to the end of the first, whose other lines stay.
    fields |= set(re.findall(r"'\*(\w+)': 'BalloonHostInfo'", code))
    events = set(re.findall(r"'event': '(\w+)'", code))
    if len(fields) < 20 or len(events) < 3:
        return [f"{HOST_GUIDE}: the rule no longer sees the series' QAPI: {sorted(fields)}, {sorted(events)}"]
    return _differ("field", _table(tree, "What to watch", "Field"), fields) + \
        _differ("event", _table(tree, "What to watch", "Event"), events | STOCK_EVENTS)


def _messages(tree):
    """Formats of all that the series can say, with %s for each value."""
    texts = set()
    for literals in MESSAGE.findall(_added(tree)):
        text = "".join(literal[1:-1] for literal in re.findall(STRING, re.sub(r'%"\s*PRI\w+', '%s"', literals)))
        texts.add(text.replace("\\n", "").replace('\\"', '"'))
    return texts


def _pattern(text):
    """What a line that the series says looks like: its values may be anything."""
    return ".+".join(re.escape(piece) for piece in re.split(r"%[a-z]+", text))


def messages_agree(tree):
    """Each message is explained, and no other."""
    part, texts = section_of(tree, HOST_GUIDE, "Messages"), _messages(tree)
    terms = [node.astext() for term in part.findall(nodes.term) for node in term.findall(nodes.literal)]
    prefixes = {text for text in texts if text.endswith(": ")}
    whole = texts - prefixes
    if len(whole) < 15 or not terms:
        return [f"{HOST_GUIDE}: the rule no longer sees the messages"]
    patterns = {text: re.compile("(?:" + "|".join(["", *map(_pattern, prefixes)]) + ")" + _pattern(text)) for text in whole}
    broken = [f"{HOST_GUIDE}: QEMU never says \"{term}\"" for term in terms if not any(one.fullmatch(term) for one in patterns.values())]
    broken += [f"{HOST_GUIDE}: \"{text}\" is not explained" for text, one in sorted(patterns.items())
               if not any(one.fullmatch(term) for term in terms)]
    broken += [f"{HOST_GUIDE}: no message begins with \"{text}\"" for text in sorted(prefixes)
               if not re.search(_pattern(text.strip()), part.astext())]
    return broken


def recipes_agree(tree):
    """Properties that the guides' recipes set, in QEMU's words or libvirt's, commands and events are those of the series, or older."""
    known, code = properties(tree) | STOCK, _added(tree)
    commands = STOCK_COMMANDS | set(re.findall(r"'command': '([\w-]+)'", code))
    events = STOCK_EVENTS | set(re.findall(r"'event': '(\w+)'", code))
    broken, seen = [], set()
    for guide in (GUIDE, HOST_GUIDE):
        blocks = "\n".join(node.astext() for node in parse(tree.top / guide)[0].findall(nodes.literal_block))
        lists = re.findall(r"virtio-balloon-pci,(\S+)", blocks)
        used = {pair.partition("=")[0] for pairs in lists for pair in pairs.split(",")} - {"id", "help"}
        for form in SETTINGS:
            used |= set(re.findall(form, blocks))
        seen |= used
        broken += [f"{guide}: no QEMU of ours has the property {name}" for name in sorted(used - known)]
        broken += [f"{guide}: no QEMU of ours has the command {name}"
                   for name in sorted(set(re.findall(r'"execute": "([^"]+)"', blocks)) - commands)]
        broken += [f"{guide}: no QEMU of ours has the event {name}" for name in sorted(set(re.findall(r"--event (\w+)", blocks)) - events)]
    return broken if seen - STOCK else [f"{HOST_GUIDE}: the rule no longer sees any property"]


def cover_agrees(tree):
    """The cover letter lists the series as it is."""
    told = re.findall(r"^  (\S.*)$", tree.text(COVER).partition("maintainers (")[2], re.M)
    titles = []
    for name in patches(tree):
        if "/" not in name.removeprefix("qemu/patches/"):
            subject = re.search(r"^Subject: \[PATCH[^\]]*\] (.*(?:\n .*)*)", tree.text(name), re.M)
            titles.append(" ".join(subject[1].split()))
    if told != titles:
        return [f"{COVER}: {title}: not in both the list and the series, or not in this place"
                for title in sorted(set(told) ^ set(titles)) or ["the order"]]
    if not re.search(rf"^Subject: \[PATCH 0*/{len(titles)}\] ", tree.text(COVER), re.M):
        return [f"{COVER}: the subject does not say that there are {len(titles)} patches"]
    return []


def tests_agree(tree):
    """A recipe that says which test tries it names one that there is: a file of tests in guests or of installing, or a test of the series."""
    literals = {node.astext() for node in parse(tree.top / HOST_GUIDE)[0].findall(nodes.literal)}
    series = set(re.findall(r'^\+ +qtest_add_(?:data_)?func\(NAME\("([^"]+)"\)', "\n".join(tree.text(name) for name in patches(tree)), re.M))
    groups = {name.partition("/")[0] for name in series if "/" in name}
    named = {name for name in literals if re.fullmatch(r"[a-z_]+\.", name)}
    wanted = {name for name in literals if name.partition("/")[0] in groups and "/" in name}
    broken = [] if named and wanted and series else [f"{HOST_GUIDE}: the rule no longer sees the tests that it names"]
    broken += [f"{HOST_GUIDE}: there are no tests {name}" for name in sorted(named)
               if not {f"tests/vm/cases/test_{name[:-1]}.py", f"tests/install/{name[:-1]}.py"} & set(tree.names)]
    return broken + [f"{HOST_GUIDE}: the series has no test {name}" for name in sorted(wanted - series)]
