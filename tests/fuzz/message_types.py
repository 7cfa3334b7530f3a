"""Lists every message of some .proto files for fuzz_message.c: message_types.py OUTPUT ROOT NAME.proto..."""
import pathlib
import re
import sys

output, root, names = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


with open(output, "w") as f:
    rows = []
    for name in names:
        text = (root / name).read_text()
        package = re.search(r"^package ([\w.]+);", text, re.M).group(1)
        f.write(f"#include <{name.removesuffix('.proto')}.pb-c.h>\n")
        for message in re.findall(r"^message (\w+)", text, re.M):
            rows.append("__".join(snake(p) for p in package.split(".")) + f"__{snake(message)}__descriptor")
    f.write("\nstatic const ProtobufCMessageDescriptor *const types[] = {\n")
    f.writelines(f"    &{row},\n" for row in rows)
    f.write("};\n")
