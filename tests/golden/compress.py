"""What the scripts of methods of compression share: a matrix with the inputs that it meets, and the file of goldens."""
import json
import struct

import numpy


def sample(seed, rows, columns, tokens):
    """Weights as float32, and inputs as int8: neighbours among the columns go together, every seventh is larger."""
    draw = numpy.random.default_rng(seed)
    weights = draw.normal(0, 0.05, (rows, columns)).astype(numpy.float32)
    x, inputs = numpy.zeros(tokens), numpy.zeros((tokens, columns))
    for c in range(columns):
        x = 0.8 * x + draw.normal(0, 8, tokens)
        inputs[:, c] = numpy.clip(numpy.rint(x * (3 if c % 7 == 3 else 1)), -120, 120)
    return weights, inputs.astype(numpy.int8)


def write(path, tensors):
    """As safetensors, in the order of the dictionary."""
    kinds = {"float32": "F32", "int8": "I8", "uint8": "U8"}
    header, data = {}, b""
    for name, value in tensors.items():
        value = numpy.ascontiguousarray(value)
        header[name] = {"dtype": kinds[str(value.dtype)], "shape": list(value.shape),
                        "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
