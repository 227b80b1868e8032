"""Words and an example for every key of an experiment: docs/spec.md and the hints of an editor are made of them.

Each key has (what it means, an example). An example stands at HERE in `within`, the smallest experiment around it;
tests/docs/test_spec.py composes every one, and fails for a key without words.
"""

from dataclasses import dataclass
from typing import Any

HERE = "HERE"
_MESSAGES = [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ a }}"}]
_SUITE = {"evals": {"routing": {"graders": {"queue": {"type": "label"}}, HERE: None}}}


@dataclass(frozen=True)
class Words:
    """One model: where its keys stand (for readers), the experiment around an example, and the keys themselves."""

    at: str
    within: dict[str, Any]
    keys: dict[str, tuple[str, str]]


def _grader(kind: str, **more: Any) -> dict[str, Any]:
    return {"evals": {"routing": {"graders": {"queue": {"type": kind, **more, HERE: None}}}}}


def _match(**more: Any) -> dict[str, Any]:
    return {"weights": {"rules": [{"name": "shown", "match": {HERE: None, **more}, "weight": 0}]}}


WORDS: dict[str, Words] = {
    "Experiment": Words(
        "the file `experiments/NAME.yaml`",
        {HERE: None},
        {
            "description": ("What it is for; stands in reports.", "description: Route a support message to a queue."),
            "tags": ("Words to find it by; they change no run.", "tags: [routing, nightly]"),
            "provider": ("Where training happens. Also a group: `provider=openai`.", "provider: {profile: embedded}"),
            "model": ("The base model to tune; `tiny` trains on this machine.", "model: tiny"),
            "method": ("How the model learns.", "method: {type: supervised}"),
            "dataset": (
                "Where rows come from, how they become messages and parts. Also a group.",
                "dataset: {sources: [{path: data/chat.jsonl}], split: {test: 20}}",
            ),
            "weights": ("Which messages are learned. Also a group.", "weights: {train_on: last_assistant_message}"),
            "hyperparameters": (
                "Epochs, batch size and learning rate. Also a group.",
                "hyperparameters: {n_epochs: 3, learning_rate_multiplier: 0.1}",
            ),
            "sweep": (
                "Several points instead of one. Also a group.",
                "sweep: {grid: {hyperparameters.n_epochs: [1, 3]}}",
            ),
            "evals": (
                "Suites by name: what base, few-shot and tuned models are scored by. Also a group: "
                "`override evals: [routing]`.",
                "evals: {routing: {graders: {queue: {type: label}}}}",
            ),
            "baselines": ("Further arms of every suite.", "baselines: {other_base: {model: ftspec-scratch}}"),
            "judge": ("Reserved: a model that grades. Refused until one can.", "judge: null"),
            "repeats": ("How many seeds each point is trained with, counted from `seed`.", "repeats: 3"),
            "seed": ("The seed of the training, and of `sweep.random`.", "seed: 7"),
            "budget": ("What all runs may cost together.", "budget: {max_usd: 20}"),
            "keep_until": (
                "The day until which the tuned model must answer; a provider that retires it earlier is refused.",
                "keep_until: 2027-06-30",
            ),
            "suffix": ("Part of the tuned model's name, at hosts that take one.", "suffix: routing"),
            "metadata": (
                "Labels of each job, 13 at most; ftspec adds three of its own.",
                "metadata: {team: support}",
            ),
            "lint": (
                "Levels of single lints: `error`, `warning`, or a mapping with the reason.",
                "lint: {dead_rule: error, few_rows: {level: ignore, reason: only 40 exist}}",
            ),
            "tracking": ("Reserved: where metrics are sent too. Refused until something is.", "tracking: null"),
            "store": (
                "Where `run` pushes what it sealed, so that `runs pull` finds it elsewhere: a folder (relative to the "
                "project) or the address of an object store. It changes no run.",
                "store: s3://our-bucket/fine-tuning",
            ),
        },
    ),
    "Provider": Words(
        "`provider`",
        {"provider": {HERE: None}},
        {
            "profile": ("Which host; `ftspec doctor` lists them with their dates.", "profile: embedded"),
            "base_url": (
                "Address of the API, where the profile has none; or a variable that holds it.",
                "{profile: openai_compatible, base_url: {env: FTSPEC_BASE_URL}}",
            ),
            "auth": (
                "The variable that holds the key; the key itself never stands in a file.",
                "{profile: openai, auth: {env: OPENAI_KEY_OF_OUR_TEAM}}",
            ),
            "concurrency": ("How many jobs run at once.", "concurrency: 4"),
        },
    ),
    "Method": Words(
        "`method`",
        {"method": {HERE: None}},
        {
            "type": (
                "`supervised` learns from example answers. `dpo` and `reinforcement` have a schema only: every shipped "
                "profile refuses them.",
                "type: supervised",
            )
        },
    ),
    "LintLevel": Words(
        "`lint.CODE`",
        {"lint": {"few_rows": {"level": "hint", "reason": "only 40 exist", HERE: None}}},
        {
            "level": ("How loud; `ignore` leaves it out.", "level: ignore"),
            "reason": ("Why that is right here.", "reason: only 40 exist"),
        },
    ),
    "Dataset": Words(
        "`dataset`",
        {"dataset": {"sources": [{"path": "data/rows.jsonl"}], HERE: None}},
        {
            "sources": (
                "Files with rows, all of them together.",
                "sources: [{path: data/rows.jsonl}]",
            ),
            "messages": (
                "A template that makes messages of raw rows; absent: rows hold `messages` already.",
                'messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ queue }}"}]',
            ),
            "replace": (
                "Other texts for values of a field; values that are not named stay.",
                "{messages: [{role: user, content: x}, {role: assistant, content: '{{ intent }}'}], "
                "replace: {intent: {oos: I don't know.}}}",
            ),
            "extract": (
                "Fields made of other fields: a pattern's named groups become fields of the row.",
                "{messages: [{role: user, content: x}, {role: assistant, content: '{{ final }}'}], "
                "extract: {answer: '#### (?P<final>.+)'}}",
            ),
            "tools": (
                "Functions that every row declares, as a list or a file; or the field that holds a row's own.",
                "tools: {file: data/tools.json}",
            ),
            "bake": (
                "A teacher answers rows that end with a question; the answers are kept in a file that you commit.",
                "bake: {model: tiny, into: data/answers.jsonl}",
            ),
            "metadata": ("Fields of a row that are kept beside its messages.", "metadata: [customer]"),
            "split": ("How rows are divided.", "split: {validation: 0.1, test: 100, by: customer}"),
        },
    ),
    "Source": Words(
        "`dataset.sources[]`, `dataset.split.validation`, `dataset.split.test`",
        {"dataset": {"sources": [{"path": "data/rows.jsonl", HERE: None}]}},
        {
            "path": (
                "A file or glob, relative to the project; a URL of fsspec; or `hf:OWNER/NAME`.",
                "path: data/*.jsonl",
            ),
            "format": ("By the file's name (`auto`), or said.", "format: jsonl"),
            "field": ("The key of a JSON object under which its rows lie.", "field: train"),
            "columns": (
                "Names for rows that are lists, and for a CSV file whose first line is a row.",
                "columns: [text, intent]",
            ),
            "delimiter": (
                "What stands between the values of a CSV file: a comma, in a `.tsv` file a tab.",
                '{path: data/rows.csv, delimiter: ";"}',
            ),
            "where": (
                "Use rows whose field has this value, or one of a list; equality on raw values.",
                "where: {category: [card_arrival, cash_withdrawal], lang: en}",
            ),
            "fraction": ("Use this share of the rows, chosen by a hash of each.", "fraction: 0.5"),
            "count": ("Use so many rows at most (of the share, beside `fraction`), chosen by a hash.", "count: 200"),
            "sha256": ("Refuse the file if its bytes are others.", f"sha256: {'0a' * 32}"),
            "schema": (
                "A JSON Schema that every raw row must meet, in place or as a file.",
                "schema: {type: object, required: [text, queue]}",
            ),
            "revision": (
                "The commit (or tag) of a data set of Hugging Face.",
                f"{{path: hf:PolyAI/banking77, revision: {'0a' * 20}}}",
            ),
            "name": (
                "Its configuration, where it has several.",
                f"{{path: hf:openai/gsm8k, name: main, revision: {'0a' * 20}}}",
            ),
            "split": (
                "Which of its splits; `train` where none is named.",
                f"{{path: hf:openai/gsm8k, split: test, revision: {'0a' * 20}}}",
            ),
        },
    ),
    "TemplateMessage": Words(
        "`dataset.messages[]`",
        {
            "dataset": {
                "sources": [{"path": "data/rows.jsonl"}],
                "messages": [{"role": "assistant", "content": "{{ queue }}", HERE: None}],
            }
        },
        {
            "role": ("Who speaks.", "role: user"),
            "content": ("What is said; `{{ field }}` is filled from the row, once.", 'content: "Queue: {{ queue }}"'),
            "name": ("Name of the speaker.", "name: agent"),
            "tool_calls": ("One field that holds a list of calls in the chat format.", 'tool_calls: "{{ calls }}"'),
            "tool_call_id": (
                "Which call a tool's message answers.",
                '{role: tool, content: "{{ result }}", tool_call_id: "{{ id }}"}',
            ),
            "weight": ("1 learns the message, 0 does not.", "weight: 0"),
        },
    ),
    "Bake": Words(
        "`dataset.bake`",
        {
            "dataset": {
                "sources": [{"path": "data/rows.jsonl"}],
                "bake": {"model": "tiny", "into": "data/answers.jsonl", HERE: None},
            }
        },
        {
            "model": ("The teacher.", "model: tiny"),
            "into": (
                "The file of answers: written by `run`, read by everything else, committed.",
                "into: data/answers.jsonl",
            ),
            "provider": ("Where the teacher answers, as `provider`.", "provider: {profile: openai}"),
            "prompt": (
                "Instructions for the teacher instead of the row's own; the tuned model never sees them.",
                "prompt: {file: prompts/route.md}",
            ),
            "params": ("How it is asked.", "params: {temperature: 0, max_completion_tokens: 200}"),
        },
    ),
    "Teacher": Words(
        "`dataset.bake.params`",
        {
            "dataset": {
                "sources": [{"path": "data/rows.jsonl"}],
                "bake": {"model": "tiny", "into": "data/answers.jsonl", "params": {HERE: None}},
            }
        },
        {
            "temperature": ("0 answers the same each time.", "temperature: 0.7"),
            "max_completion_tokens": ("The longest answer.", "max_completion_tokens: 200"),
            "seed": ("Sent along, where the host takes one.", "seed: 7"),
        },
    ),
    "RowField": Words(
        "`dataset.tools`",
        {"dataset": {"sources": [{"path": "data/rows.jsonl"}], "messages": _MESSAGES, "tools": {HERE: None}}},
        {"field": ("The field that holds the row's own tool definitions.", "field: functions")},
    ),
    "Split": Words(
        "`dataset.split`",
        {"dataset": {"sources": [{"path": "data/rows.jsonl"}], "split": {HERE: None}}},
        {
            "validation": (
                "Rows whose loss is watched: a share or a count of what the test part leaves, or a file.",
                "validation: 0.1",
            ),
            "test": ("Rows kept for evals: a share, a count or a file.", "test: 100"),
            "folds": (
                "Instead of a test part: so many, one of them held out; for small sets. Sweep `dataset.split.fold`.",
                "folds: 5",
            ),
            "fold": ("Which of the folds is the test part, from 0.", "{folds: 5, fold: 2}"),
            "by": ("What stays together: `prompt`, `row`, `first_user` or a field.", "by: customer"),
            "salt": ("Changes which rows fall into which part.", "salt: v2"),
        },
    ),
    "Weights": Words(
        "`weights`",
        {"weights": {HERE: None}},
        {
            "train_on": ("Which messages are learned where nothing else decides.", "train_on: last_assistant_turn"),
            "rules": (
                "Exceptions; the first rule that matches a message decides.",
                "rules: [{name: no-deferrals, match: {content_contains: tomorrow}, weight: 0}]",
            ),
            "existing": ("What weights in the data count for.", "existing: override"),
            "field": ("The key of a message that holds its weight.", "field: trainable"),
            "on_empty": ("What happens to a row in which nothing is learned.", "on_empty: drop"),
        },
    ),
    "WeightRule": Words(
        "`weights.rules[]`",
        {"weights": {"rules": [{"name": "calls", "match": {"tool_calls": True}, "weight": 1, HERE: None}]}},
        {
            "name": ("Names the rule in the proof table and in a diff.", "name: no-deferrals"),
            "match": ("When the rule decides.", "match: {role: assistant, turn: first}"),
            "weight": ("1 learns the message, 0 does not.", "weight: 0"),
        },
    ),
    "Match": Words(
        "`weights.rules[].match`",
        _match(),
        {
            "role": ("The speaker, or a list of them.", "role: [user, tool]"),
            "turn": ("The turn, counted from 0; negative counts from the end.", "turn: -1"),
            "message": ("The first or last message of the row.", "message: last"),
            "content_contains": ("A text in the content.", "content_contains: I'll do that tomorrow"),
            "content_regex": ("A pattern found in the content.", 'content_regex: "^(Okay|Sure)"'),
            "tool_calls": ("Whether the message calls tools.", "tool_calls: true"),
            "tool_name": ("The name of a called tool.", "tool_name: search"),
            "name": ("The speaker's name.", "name: agent"),
            "row": ("Fields of the row.", "row: {customer: c1}"),
        },
    ),
    "Hyperparameters": Words(
        "`hyperparameters`",
        {"hyperparameters": {HERE: None}},
        {
            "n_epochs": ("How often each row is seen.", "n_epochs: 3"),
            "batch_size": ("Rows per step.", "batch_size: 8"),
            "learning_rate_multiplier": (
                "Multiplies the base model's own rate; for hosts that work so.",
                "learning_rate_multiplier: 0.1",
            ),
            "learning_rate": (
                "The rate itself, for hosts that take it; never beside a multiplier.",
                "learning_rate: 0.00001",
            ),
        },
    ),
    "Sweep": Words(
        "`sweep`",
        {"sweep": {"grid": {"hyperparameters.n_epochs": [1, 3]}, HERE: None}},
        {
            "max_runs": ("More runs than this are an error, counted before any is made.", "max_runs: 50"),
            "select": ("How the winner is chosen.", "select: {by: valid_loss}"),
        },
    ),
    "Block": Words(
        "`sweep`, `sweep.union[]`",
        {"sweep": {"grid": {"seed": [1, 2]}, HERE: None}},
        {
            "grid": (
                "Axes, all against all; a list has one point per item, a text is Hydra's grammar or `logrange()`.",
                'grid: {hyperparameters.learning_rate_multiplier: "logrange(0.02, 0.2, 4)", weights: [assistant]}',
            ),
            "zip": (
                "Axes that go together, of equal length.",
                "zip: [{hyperparameters.batch_size: [4, 8], hyperparameters.n_epochs: [1, 2]}]",
            ),
            "union": ("Further blocks; a point that was there already is dropped.", "union: [{grid: {seed: [3, 4]}}]"),
            "exclude": ("Points that fall out: those that hold all pairs of an entry.", "exclude: [{seed: 2}]"),
            "random": ("Keep so many points, chosen by a hash under `seed`.", "random: 1"),
        },
    ),
    "Select": Words(
        "`sweep.select`",
        {"sweep": {"grid": {"hyperparameters.n_epochs": [1, 3]}, "select": {HERE: None}}},
        {
            "by": ("`valid_loss` (lower is better) or `SUITE.GRADER.METRIC`.", "by: valid_loss"),
            "tie": ("Which of equal points is taken.", "tie: first"),
        },
    ),
    "Arm": Words(
        "`baselines.NAME`, `evals.NAME.arms.NAME`",
        {"baselines": {"other": {"model": "@base", HERE: None}}},
        {
            "model": (
                "`@base` and `@run` are the run's own, `@majority` the commonest training label; or any model.",
                "model: ftspec-scratch",
            ),
            "prompt": (
                "Instructions instead of the item's own; null: none.",
                "prompt: Answer with one word.",
            ),
            "shots": ("Examples from the training part, put before the question.", "shots: {k: 8}"),
        },
    ),
    "Shots": Words(
        "`baselines.NAME.shots`, `evals.NAME.arms.NAME.shots`",
        {"baselines": {"other": {"model": "@base", "shots": {HERE: None}}}},
        {
            "k": ("How many examples.", "k: 8"),
            "part": ("Where they come from.", "part: train"),
            "salt": ("Changes which examples are chosen.", "salt: v2"),
        },
    ),
    "Budget": Words(
        "`budget`",
        {"budget": {HERE: None}},
        {"max_usd": ("US dollars; a price that is unknown counts as over it.", "max_usd: 20")},
    ),
    "Suite": Words(
        "`evals.NAME`, or the one key of a file `conf/evals/NAME.yaml`",
        _SUITE,
        {
            "kind": ("What the suite does: answers are graded.", "kind: graded"),
            "data": ("Which items are asked.", "data: {part: test}"),
            "request": ("How an item is asked.", "request: {params: {max_completion_tokens: 20}}"),
            "arms": (
                "The contestants; by default base, few_shot, tuned, and majority beside a label grader.",
                'arms: {base: {model: "@base"}, tuned: {model: "@run"}}',
            ),
            "samples": ("Answers per item.", "samples: 4"),
            "graders": (
                "What makes an answer right.",
                "graders: {same: {type: string_check}}",
            ),
            "metrics": ("Which metric decides, and which are shown too.", "metrics: {primary: queue.accuracy}"),
            "compare": ("How arms are compared.", "compare: {alpha: 0.01}"),
            "max_error_rate": ("More failed requests than this share make a suite fail.", "max_error_rate: 0.05"),
        },
    ),
    "SuiteData": Words(
        "`evals.NAME.data`",
        {"evals": {"routing": {"graders": {"queue": {"type": "label"}}, "data": {HERE: None}}}},
        {
            "part": ("A part of the experiment's own data.", "part: validation"),
            "path": ("A file of items instead.", "path: data/items.jsonl"),
            "id": ("The field that names an item.", "{path: data/items.jsonl, id: key}"),
            "cluster": ("The field that groups items which are not independent.", "cluster: customer"),
        },
    ),
    "Request": Words(
        "`evals.NAME.request`",
        {"evals": {"routing": {"graders": {"queue": {"type": "label"}}, "request": {HERE: None}}}},
        {
            "messages": (
                "What is sent; absent: the item's own messages up to its last answer.",
                'messages: [{role: user, content: "{{ item.text }}"}]',
            ),
            "params": ("Sampling, named as on the chat completions API.", "params: {temperature: 0.7}"),
            "parse": ("Whether the answer is read as text or as JSON.", "parse: json"),
        },
    ),
    "RequestMessage": Words(
        "`evals.NAME.request.messages[]`",
        {
            "evals": {
                "routing": {
                    "graders": {"queue": {"type": "label"}},
                    "request": {"messages": [{"role": "user", "content": "{{ item.text }}", HERE: None}]},
                }
            }
        },
        {
            "role": ("Who speaks.", "role: system"),
            "content": (
                "`{{ item.x }}` and `{{ arm.prompt }}` are filled once.",
                'content: "{{ item.text }}"',
            ),
        },
    ),
    "Params": Words(
        "`evals.NAME.request.params`",
        {"evals": {"routing": {"graders": {"queue": {"type": "label"}}, "request": {"params": {HERE: None}}}}},
        {
            "temperature": ("0 takes the likeliest word.", "temperature: 0.7"),
            "top_p": ("Share of probability that is sampled from.", "top_p: 0.9"),
            "max_completion_tokens": ("Longest answer.", "max_completion_tokens: 20"),
            "stop": ("Texts that end an answer.", 'stop: ["\\n"]'),
            "seed": ("Seed of sampling, where the host takes one.", "seed: 1"),
            "tools": ("Functions that the model may call, as a list or a file.", "tools: {file: data/tools.json}"),
            "tool_choice": ("Whether or which function must be called.", "tool_choice: auto"),
        },
    ),
    "StringCheck": Words(
        "`evals.NAME.graders.NAME` with `type: string_check`",
        _grader("string_check"),
        {
            "type": ("Compare two texts, letter by letter.", "type: string_check"),
            "input": ("What is checked.", 'input: "{{ sample.output_text }}"'),
            "reference": ("What it is checked against.", 'reference: "{{ item.reference }}"'),
            "operation": ("Equal, unequal, or containing it (`like`, `ilike` without case).", "operation: ilike"),
        },
    ),
    "LabelGrader": Words(
        "`evals.NAME.graders.NAME` with `type: label`",
        _grader("label"),
        {
            "type": ("The answer must be the item's label.", "type: label"),
            "labels": ("All labels; by default those of the training part.", "labels: [billing, cards]"),
            "input": ("What is checked.", 'input: "{{ sample.output_text }}"'),
            "reference": ("The right label.", 'reference: "{{ item.reference }}"'),
            "match": ("How a label is found in the answer.", "match: casefold"),
            "pattern": (
                "With `match: pattern`: its group `label`, else the first, else all of it.",
                '{match: pattern, pattern: "queue: (?P<label>\\\\w+)"}',
            ),
        },
    ),
    "RegexGrader": Words(
        "`evals.NAME.graders.NAME` with `type: regex`",
        _grader("regex", pattern="^[a-z]+$"),
        {
            "type": ("A pattern must be found in the answer.", "type: regex"),
            "pattern": ("The pattern.", 'pattern: "^[a-z_]+$"'),
            "input": ("What is searched.", 'input: "{{ sample.output_text }}"'),
        },
    ),
    "JsonFields": Words(
        "`evals.NAME.graders.NAME` with `type: json_fields`",
        _grader("json_fields", fields={"queue": "exact"}),
        {
            "type": ("Fields of a JSON answer are compared one by one.", "type: json_fields"),
            "fields": ("Which fields, and how each is compared.", "fields: {queue: exact, amount: number, day: date}"),
            "input": ("What is read as JSON.", 'input: "{{ sample.output_text }}"'),
            "reference": ("The object it is compared with.", 'reference: "{{ item.reference }}"'),
            "extra": ("Whether fields that nobody asked for count as wrong.", "extra: ignore"),
        },
    ),
    "ToolCallGrader": Words(
        "`evals.NAME.graders.NAME` with `type: tool_call`",
        _grader("tool_call"),
        {
            "type": ("The answer's tool calls are compared with the expected ones.", "type: tool_call"),
            "expected": ("The expected calls.", 'expected: "{{ item.expected_calls }}"'),
            "order": ("Whether their order matters.", "order: same"),
            "arguments": ("When arguments are equal.", "arguments: {numbers: close}"),
        },
    ),
    "ToolArguments": Words(
        "`evals.NAME.graders.NAME.arguments`",
        {"evals": {"routing": {"graders": {"calls": {"type": "tool_call", "arguments": {HERE: None}}}}}},
        {
            "match": ("The same fields with equal values.", "match: fields"),
            "numbers": ("Whether a millionth is forgiven.", "numbers: close"),
            "ignore": ("Fields that do not count.", "ignore: [note]"),
        },
    ),
    "Metrics": Words(
        "`evals.NAME.metrics`",
        {"evals": {"routing": {"graders": {"queue": {"type": "label"}}, "metrics": {HERE: None}}}},
        {
            "primary": ("The metric that decides, `GRADER.METRIC`.", "primary: queue.macro_f1"),
            "also": ("Further metrics to show.", "also: [queue.macro_f1]"),
        },
    ),
    "Compare": Words(
        "`evals.NAME.compare`",
        {"evals": {"routing": {"graders": {"queue": {"type": "label"}}, "compare": {HERE: None}}}},
        {
            "baseline": ("The arm that others are compared with.", "baseline: base"),
            "correction": ("Whether several comparisons are corrected for.", "correction: none"),
            "alpha": ("The error rate; intervals hold 1 - alpha.", "alpha: 0.01"),
            "margin": ("Differences below it count as equal.", "margin: 0.02"),
        },
    ),
    "FileRef": Words(
        "texts that may lie in a file",
        {"description": {HERE: None}},
        {"file": ("Path relative to the project; read when the experiment is validated.", "file: prompts/route.md")},
    ),
    "EnvRef": Words(
        "`provider.base_url`, `provider.auth`",
        {"provider": {"profile": "openai", "auth": {HERE: None}}},
        {"env": ("Name of an environment variable; its value is never stored.", "env: OPENAI_API_KEY")},
    ),
}


def words_of(model: str, key: str) -> str:
    """Return what a key means; empty where nothing is said."""
    words = WORDS.get(model)
    return words.keys.get(key, ("", ""))[0] if words else ""
