"""What is wrong with a workflow file."""

from statemachine.i18n.text import Text

WORKFLOWS: dict[str, Text] = {
    "workflow_error": Text("{where}: {problem}", "{where}：{problem}"),
    "at_node": Text("{file}, node {node}", "{file}，节点 {node}"),
    "export_again": Text(
        "{problem}; export it in API format: menu Workflow (or File) → Export (API); "
        "in older versions settings → enable dev mode options, then the button Save (API Format)",
        "{problem}；请以 API 格式重新导出：菜单 Workflow（或 File）→ Export (API)；"
        "旧版本先在设置中启用 dev mode options，再点击 Save (API Format)",
    ),
    "file_unreadable": Text("cannot read the file ({error})", "无法读取文件（{error}）"),
    "file_not_found": Text("file not found", "文件不存在"),
    "not_file_name": Text("not a file name ({error})", "不是文件名（{error}）"),
    "file_too_large": Text("larger than the limit of {limit} bytes", "超过 {limit} 字节的上限"),
    "file_encoding": Text("this file is {encoding}", "此文件的编码是 {encoding}"),
    "file_encoding_guess": Text(
        "this file is not UTF-8; it looks like {encoding}", "此文件不是 UTF-8 编码，看起来是 {encoding}"
    ),
    "file_not_utf8": Text("this file is not UTF-8", "此文件不是 UTF-8 编码"),
    "save_as_utf8": Text("save it as UTF-8", "请另存为 UTF-8"),
    "encoding_error": Text("{problem}; {remedy}", "{problem}；{remedy}"),
    "workflow_not_object": Text(
        "a workflow is an object of nodes, found {found}", "工作流应为节点对象，实际为 {found}"
    ),
    "ui_format": Text("this is the UI format, which a server cannot run", "这是界面格式，服务器无法运行"),
    "no_nodes": Text("the workflow has no nodes", "工作流没有节点"),
    "node_not_object": Text("a node is an object, found {found}", "节点应为对象，实际为 {found}"),
    "class_type_missing": Text("class_type must be the name of a node class", "class_type 应为节点类的名称"),
    "inputs_not_object": Text("inputs must be an object, found {found}", "inputs 应为对象，实际为 {found}"),
    "link_to_nowhere": Text(
        "input {input} comes from node {source}, which does not exist", "输入 {input} 取自节点 {source}，但没有该节点"
    ),
    "link_cycle": Text("the nodes form a cycle: {nodes}", "节点互相等待，构成循环：{nodes}"),
    "reserved_key": Text(
        "{key} cannot be the key of a cache node; use a name", "{key} 不能作为缓存节点的 key；请使用名称"
    ),
    "data_not_linked": Text(
        "the input data of a cache node must come from another node; link a loader to it",
        "缓存节点的输入 data 必须来自其他节点；请连接加载器",
    ),
    "input_linked": Text(
        "the input {input} of a cache node comes from another node; type a text into it",
        "缓存节点的输入 {input} 来自其他节点；请直接填写文本",
    ),
    "input_not_text": Text(
        "the input {input} of a cache node must be text, found {found}",
        "缓存节点的输入 {input} 应为文本，实际为 {found}",
    ),
    "extra_data_not_object": Text("extra_data must be an object, found {found}", "extra_data 应为对象，实际为 {found}"),
    "workflow_not_sendable": Text("the workflow cannot be sent ({error})", "工作流无法发送（{error}）"),
    "kind_nothing": Text("nothing", "空值"),
    "kind_boolean": Text("true or false", "布尔值"),
    "kind_text": Text("text", "文本"),
    "kind_list": Text("a list", "列表"),
    "kind_object": Text("an object", "对象"),
    "kind_number": Text("a number", "数字"),
}
