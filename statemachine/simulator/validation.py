"""Validate a posted graph as ComfyUI does: the outputs that can run and the errors of the others.

Follows `validate_prompt` of ComfyUI 0.3.75 branch by branch, with its types, messages and details. As in ComfyUI, a
body of an unexpected shape raises TypeError or AttributeError, which becomes a bare 500. Since 0.14 ComfyUI replaces
missing classes before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statemachine.simulator.dialects import Dialect, Feature
from statemachine.simulator.nodes import RIG, Graph, NodeClass

Error = dict[str, Any]
LONG_LIST = 20
"""Errors do not repeat lists of choices longer than this."""
LINK_LENGTH = 2
RAISED = (RecursionError, KeyError, IndexError, TypeError, AttributeError)
"""Exceptions from a graph of an unexpected shape; ComfyUI catches all exceptions."""
CONVERSIONS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}

OLD_CLASS = "RigOldModel"
MAPPING: list[dict[str, Any]] = [{"new_id": "name", "old_id": "old_name"}, {"new_id": "seconds", "set_value": 0.1}]
REPLACEMENTS = {OLD_CLASS: [{"new_node_id": RIG, "old_node_id": OLD_CLASS, "input_mapping": MAPPING}]}
"""The answer of GET /node_replacements."""


@dataclass
class ValidationResult:
    """`error` is None if at least one output can run; `node_errors` may still name dropped outputs."""

    error: Error | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


def validate_prompt(graph: Graph, classes: Mapping[str, NodeClass], dialect: Dialect) -> ValidationResult:
    """Validate every output of a graph in ComfyUI's API format."""
    outputs = []
    unknown_class = _missing_node_type if dialect.has(Feature.MISSING_NODE_TYPE) else _unknown_class
    for node_id in graph:
        error = unknown_class(node_id, graph[node_id], classes)
        if error:
            return ValidationResult(error)
        if classes[graph[node_id]["class_type"]].is_output:
            outputs.append(node_id)
    if not outputs:
        return ValidationResult(_error("prompt_no_outputs", "Prompt has no outputs", "", {}))
    return _validate_outputs(outputs, _Validation(graph, classes, names_cycles=dialect.has(Feature.DEPENDENCY_CYCLE)))


def _unknown_class(node_id: str, node: Any, classes: Mapping[str, NodeClass]) -> Error | None:
    if "class_type" not in node:
        message = "Cannot execute because a node is missing the class_type property."
    elif node["class_type"] not in classes:
        message = f"Cannot execute because node {node['class_type']} does not exist."
    else:
        return None
    return _error("invalid_prompt", message, f"Node ID '#{node_id}'", {})


def _missing_node_type(node_id: str, node: Any, classes: Mapping[str, NodeClass]) -> Error | None:
    """Return the error of newer versions, which name the node's title."""
    if "class_type" not in node:
        title = node.get("_meta", {}).get("title")
        name = title or f"ID #{node_id}"
        message = f"Node '{name}' has no class_type. The workflow may be corrupted or a custom node is missing."
    elif node["class_type"] not in classes:
        title = node.get("_meta", {}).get("title", node["class_type"])
        message = f"Node '{title}' not found. The custom node may not be installed."
    else:
        return None
    extra = {"node_id": node_id, "class_type": node.get("class_type"), "node_title": title}
    return _error("missing_node_type", message, f"Node ID '#{node_id}'", extra)


def _validate_outputs(outputs: list[str], validation: "_Validation") -> ValidationResult:
    result = ValidationResult()
    details = []
    for output in outputs:
        errors = validation.of_output(output)
        if errors is None:
            result.outputs.append(output)
            continue
        details += [f"{error['message']}: {error['details']}" for error in errors]
        validation.report(output, result.node_errors)
    if not result.outputs:
        result.error = _error(
            "prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(details), {}
        )
    return result


class _Validation:
    """Validate each node of one graph once. `done`: node id → (valid, its own errors)."""

    def __init__(self, graph: Graph, classes: Mapping[str, NodeClass], *, names_cycles: bool) -> None:
        self.graph, self.classes, self._names_cycles = graph, classes, names_cycles
        self._path: list[str] = []
        self.done: dict[str, tuple[bool, list[Error]]] = {}

    def of_output(self, output: str) -> list[Error] | None:
        """Return None if the output can run, else its own errors; empty if only an ancestor has errors."""
        try:
            valid, errors = self.of_node(output)
        except RAISED as cause:
            extra = {"exception_type": type(cause).__name__, "traceback": []}
            message = "Exception when validating node"
            errors = [_error("exception_during_validation", message, str(cause), extra)]
            valid, self.done[output] = False, (False, errors)
        return None if valid else errors

    def report(self, output: str, node_errors: dict[str, Any]) -> None:
        """Attribute every node with errors seen so far to this output, as ComfyUI does."""
        for node_id, (valid, errors) in self.done.items():
            if valid or not errors:
                continue
            class_type = self.graph[node_id]["class_type"]
            entry = node_errors.setdefault(
                node_id, {"errors": errors, "dependent_outputs": [], "class_type": class_type}
            )
            entry["dependent_outputs"].append(output)

    def of_node(self, node_id: str) -> tuple[bool, list[Error]]:
        if node_id in self.done:
            return self.done[node_id]
        if node_id in self._path:
            self._refuse_cycle([*self._path[self._path.index(node_id) :], node_id])
            return self.done[node_id]
        self._path.append(node_id)
        try:
            of_inputs = self._of_inputs(self.graph[node_id])
        finally:
            self._path.pop()
        return self.done.setdefault(node_id, of_inputs)

    def _of_inputs(self, node: dict[str, Any]) -> tuple[bool, list[Error]]:
        ancestors_valid, errors = True, []
        for name, spec in self.classes[node["class_type"]].required.items():
            error, ancestor_valid = self._input(node["inputs"], name, [spec[0], *(spec[1:] or [{}])])
            ancestors_valid &= ancestor_valid
            errors += [error] if error else []
        return ancestors_valid and not errors, errors

    def _refuse_cycle(self, path: list[str]) -> None:
        """Refuse every node of a cycle, with the same error. Older versions recurse too deeply, and name nothing."""
        named = " -> ".join(f"{node_id} ({self.graph[node_id]['class_type']})" for node_id in path)
        cycle = list(dict.fromkeys(path))
        for node_id in cycle:
            extra = {"node_id": node_id, "cycle_nodes": cycle}
            error = _error("dependency_cycle", "Dependency cycle detected", named, extra)
            self.done[node_id] = False, [error] if self._names_cycles else []

    def _input(self, inputs: dict[str, Any], name: str, spec: list[Any]) -> tuple[Error | None, bool]:
        """Return this input's error, if any, and whether the node that feeds it is valid."""
        if name not in inputs:
            return _error("required_input_missing", "Required input is missing", name, {"input_name": name}), True
        if isinstance(inputs[name], list):
            return self._link(inputs[name], name, spec)
        return _value_error(inputs, name, spec), True

    def _link(self, link: list[Any], name: str, spec: list[Any]) -> tuple[Error | None, bool]:
        extra = {"input_name": name, "input_config": spec, "received_value": link}
        if len(link) != LINK_LENGTH:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return _error("bad_linked_input", message, name, extra), True
        received = self.classes[self.graph[link[0]]["class_type"]].output[link[1]]
        wanted = spec[0] if isinstance(spec[0], str) else "COMBO"
        if "*" not in {received, wanted} and received != wanted:
            details = f"{name}, received_type({received}) mismatch input_type({wanted})"
            extra = {"input_name": name, "input_config": spec, "received_type": received, "linked_node": link}
            message = "Return type mismatch between linked nodes"
            return _error("return_type_mismatch", message, details, extra), True
        return None, self._feeding(link, name, spec)

    def _feeding(self, link: list[Any], name: str, spec: list[Any]) -> bool:
        """Return whether the linked node is valid; an exception becomes an error of that node."""
        try:
            return self.of_node(link[0])[0]
        except RAISED as cause:
            raised = {"exception_message": str(cause), "exception_type": type(cause).__name__, "traceback": []}
            extra = {"input_name": name, "input_config": spec, **raised, "linked_node": link}
            message = "Exception when validating inner node"
            error = _error("exception_during_inner_validation", message, str(cause), extra)
            self.done[link[0]] = False, [error]
            return False


def _value_error(inputs: dict[str, Any], name: str, spec: list[Any]) -> Error | None:
    kind, options = spec
    extra = {"input_name": name, "input_config": spec, "received_value": inputs[name]}
    if isinstance(kind, list):
        return _choice_error(inputs[name], name, kind, extra)
    try:
        value = inputs[name] = CONVERSIONS.get(kind, lambda given: given)(inputs[name])
    except (ValueError, TypeError) as cause:
        message = f"Failed to convert an input value to a {kind} value"
        extra |= {"exception_message": str(cause)}
        return _error("invalid_input_type", message, f"{name}, {inputs[name]}, {cause}", extra)
    if "min" in options and value < options["min"]:
        message = f"Value {value} smaller than min of {options['min']}"
        return _error("value_smaller_than_min", message, name, extra)
    if "max" in options and value > options["max"]:
        return _error("value_bigger_than_max", f"Value {value} bigger than max of {options['max']}", name, extra)
    return None


def _choice_error(value: Any, name: str, choices: list[Any], extra: dict[str, Any]) -> Error | None:
    if value in choices:
        return None
    listed = str(choices)
    if len(choices) > LONG_LIST:
        listed, extra = f"(list of length {len(choices)})", extra | {"input_config": None}
    return _error("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {listed}", extra)


def _error(kind: str, message: str, details: str, extra: dict[str, Any]) -> Error:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def replace_missing(graph: Graph, classes: Mapping[str, NodeClass]) -> None:
    """Replace the old class in place. A node without `_meta` raises KeyError, which becomes 500, as in ComfyUI."""
    for node_id, node in list(graph.items()):
        if "class_type" in node and "inputs" in node and node["class_type"] == OLD_CLASS and RIG in classes:
            inputs = {one["new_id"]: one.get("set_value") or node["inputs"][one["old_id"]] for one in MAPPING}
            graph[node_id] = {"inputs": inputs, "class_type": RIG, "_meta": node["_meta"]}
