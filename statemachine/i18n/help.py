"""The help texts of the commands and their parameters: `help.COMMAND` and `help.COMMAND.PARAMETER`."""

from statemachine.i18n.text import Text

_SERVER = Text("The server's name, by default HOST:PORT.", "服务器名称，默认为 HOST:PORT。")
_URLS = Text(
    "Servers, such as http://HOST:8188, HOST:8188 or HOST (port 8188).",
    "服务器，例如 http://HOST:8188、HOST:8188 或 HOST（端口 8188）。",
)
_GROUP = Text("Every server of this group.", "该分组的全部服务器。")

COMMANDS: dict[str, Text] = {
    "help.comfywarm": Text(
        "Keep fleets of ComfyUI servers warm. Without a command: serve.",
        "使 ComfyUI 集群保持预热。不带命令时即 serve。",
    ),
    "help.init": Text(
        "Write a new settings file with these servers. An existing file is not changed.",
        "写一个包含这些服务器的新设置文件。不会改动已有的文件。",
    ),
    "help.add": Text(
        "Add servers to the settings file. A running daemon takes them over by itself.",
        "将服务器加入设置文件。运行中的服务会自动接管。",
    ),
    "help.remove": Text(
        "Remove servers from the settings file. A running daemon follows by itself.",
        "从设置文件中移除服务器。运行中的服务会自动随之更新。",
    ),
    "help.node": Text(
        "Install the companion node in ComfyUI. See docs/node.md.", "在 ComfyUI 中安装配套节点。见 docs/node.md。"
    ),
    "help.node-install": Text(
        "Copy the companion node into the ComfyUI folder DIR, or renew the copy there. Then restart ComfyUI.",
        "将配套节点复制到 ComfyUI 目录 DIR 中，或更新其中的副本。之后请重启 ComfyUI。",
    ),
    "help.serve": Text(
        "Keep the fleet warm, and serve the page and the API. This is the default command.",
        "使集群保持预热，并提供页面和 API。这是默认命令。",
    ),
    "help.status": Text(
        "Show the fleet as the running daemon sees it: a summary, then a line for each server, trouble first.\n\n"
        "Sources of servers that are in trouble are named before them. On a terminal, only as many servers as fit are "
        "shown. Exit code 0 if all selected servers are loaded, 1 if not, or if no daemon answers.",
        "显示运行中的服务所看到的集群：先是汇总，然后每台服务器一行，有问题的排在前面。\n\n"
        "出现异常的服务器来源列在服务器之前。在终端上只显示屏幕容得下的服务器。"
        "所选服务器全部已加载时退出码为 0；否则，或没有服务响应时为 1。",
    ),
    "help.tail": Text(
        "Show the event log: what happened to the servers, and why.", "显示事件日志：服务器发生了什么，原因是什么。"
    ),
    "help.wanted": Text(
        "Show how many servers each group needs, how many more or fewer than it has, and why. See docs/autoscaling.md.",
        "显示每个分组需要多少台服务器，比现有的多或少几台，以及原因。见 docs/autoscaling.md。",
    ),
    "help.doctor": Text(
        "Examine servers and report what works, what does not, and what to do. Submits nothing.\n\n"
        "A server that is not in the settings is examined with the default settings. Exit code 1 if anything is ✗.",
        "诊断服务器：哪些正常，哪些不正常，应如何处理。不提交任何任务。\n\n"
        "不在设置中的服务器按默认设置诊断。有任何 ✗ 时退出码为 1。",
    ),
    "help.check": Text(
        "Validate settings and workflow files, then ask every server's cache check once.\n\n"
        "Nothing is submitted, but a text check may make a server start loading by itself. "
        "Exit code 0 if every server is loaded.",
        "校验设置和工作流文件，然后对每台服务器查询一次缓存。\n\n"
        "不提交任何任务，但文本类检查可能使服务器开始自行加载。全部已加载时退出码为 0。",
    ),
    "help.warm": Text(
        "Ask the running daemon to warm a server, or a whole group, now.",
        "请运行中的服务立即预热一台服务器或整个分组。",
    ),
    "help.pause": Text(
        "Pause a server, or a whole group: the daemon submits nothing to it.",
        "停用一台服务器或整个分组：服务不再向其提交任务。",
    ),
    "help.resume": Text("Resume a paused server, or a whole group.", "恢复已停用的服务器或整个分组。"),
    "help.restart": Text(
        "Restart a server with its hook: it finishes its prompts, restarts, and is warmed.\n\n"
        "With --group, every server of the group, a few at a time. See docs/repair.md.",
        "用钩子重启一台服务器：先完成其任务，再重启并预热。\n\n"
        "使用 --group 时，分批重启该分组的全部服务器。见 docs/repair.md。",
    ),
    "help.rollout": Text("Show or change the rolling restart.", "查看或操作滚动重启。"),
    "help.rollout-status": Text(
        "Show the rolling restart that is going on, or the last one.\n\n"
        "Exit code 1 if there has been none, or if it was aborted or a restart has failed.",
        "显示正在进行的或最近一次的滚动重启。\n\n没有滚动重启、已中止或有重启失败时退出码为 1。",
    ),
    "help.rollout-pause": Text(
        "Pause it: restarts that are under way go on, no other begins.", "暂停：正在进行的重启继续，不再开始新的重启。"
    ),
    "help.rollout-resume": Text(
        "Resume it. If it was cancelled or aborted, it restarts the remaining servers.",
        "恢复滚动重启。若已取消或中止，则重启其余尚未重启的服务器。",
    ),
    "help.rollout-cancel": Text(
        "Cancel it: restarts that are under way go on, no other begins.", "取消：正在进行的重启继续，不再开始新的重启。"
    ),
    "help.alert-test": Text(
        "Send a test message to the channels of the settings and report the result.\n\n"
        "Exit code 0 if every address accepted it.",
        "向设置中的通道发送测试消息并报告结果。\n\n所有地址都接收时退出码为 0。",
    ),
    "help.schema": Text(
        "Print the JSON Schema of settings.json, with which editors complete and check it.",
        "打印 settings.json 的 JSON Schema，供编辑器补全和校验。",
    ),
    "help.diagram": Text("Print the state machine as a Mermaid diagram.", "以 Mermaid 图打印状态机。"),
    "help.haproxy": Text(
        "Print an HAProxy backend whose servers follow warmth by agent-check. See docs/traffic.md.",
        "打印 HAProxy backend，其服务器通过 agent-check 跟随就绪状态。见 docs/traffic.md。",
    ),
    "help.gateway": Text(
        "Serve ComfyUI's API for the whole fleet at one address, as `gateway` in the settings says.\n\n"
        "Each prompt goes to a warm server. See docs/gateway.md.",
        "按设置中的 `gateway`，在一个地址上为整个集群提供 ComfyUI 的 API。\n\n"
        "每个任务都会发往已就绪的服务器。见 docs/gateway.md。",
    ),
    "help.simulate": Text(
        "Run simulated ComfyUI servers, well-behaved and misbehaving ones, until Ctrl-C.",
        "运行模拟的 ComfyUI 服务器，有正常的也有异常的，按 Ctrl-C 结束。",
    ),
}

PARAMETERS: dict[str, Text] = {
    "help.comfywarm.settings": Text("The settings file.", "设置文件。"),
    "help.comfywarm.show_version": Text("Print the version and exit.", "打印版本并退出。"),
    "help.comfywarm.install_completion": Text(
        "Install completion for the current shell.", "为当前 shell 安装自动补全。"
    ),
    "help.comfywarm.show_completion": Text(
        "Print the completion script for the current shell.", "打印当前 shell 的自动补全脚本。"
    ),
    "help.help": Text("Show this message and exit.", "显示本帮助并退出。"),
    "help.init.urls": _URLS,
    "help.add.urls": _URLS,
    "help.add.name": Text("The server's name, instead of HOST:PORT.", "服务器名称，代替 HOST:PORT。"),
    "help.add.group": Text("The servers' group.", "服务器所属的分组。"),
    "help.remove.servers": Text("Names or URLs of servers.", "服务器的名称或 URL。"),
    "help.node-install.folder": Text(
        "The folder of ComfyUI, or its custom_nodes.", "ComfyUI 的目录，或其中的 custom_nodes。"
    ),
    "help.serve.port": Text(
        "Port instead of listen.port. The other commands on this machine find the daemon there.",
        "代替 listen.port 的端口；本机上的其他命令会在该端口找到服务。",
    ),
    "help.serve.demo": Text(
        "Run over an embedded simulated fleet; needs no settings.", "在内置的模拟集群上运行；不需要设置文件。"
    ),
    "help.status.group": Text("Only servers of this group; repeatable.", "仅该分组的服务器；可重复。"),
    "help.status.state": Text(
        "Only servers in this state; repeatable: {states}.", "仅处于该状态的服务器；可重复：{states}。"
    ),
    "help.status.show_all": Text(
        "Every server, also if they do not fit on the screen.", "显示全部服务器，不受屏幕大小限制。"
    ),
    "help.status.as_json": Text(
        "The answer of /api/status with the selected servers, and `sources` of /api/discovery.",
        "/api/status 的应答（仅含所选服务器），以及 /api/discovery 的 `sources`。",
    ),
    "help.status.watch": Text("Redraw every second until Ctrl-C.", "每秒刷新，按 Ctrl-C 结束。"),
    "help.tail.follow": Text("Continue with new entries until Ctrl-C.", "持续显示新条目，按 Ctrl-C 结束。"),
    "help.tail.count": Text(
        "The newest N entries. Default: {count}, or all since T.",
        "最新的 N 条。默认 {count} 条；指定了 T 时为其后的全部。",
    ),
    "help.tail.since": Text(
        "2026-01-31T08:00:00Z, or how long ago: 10m, 2h, 1d.", "2026-01-31T08:00:00Z，或多久以前：10m、2h、1d。"
    ),
    "help.tail.server": Text("Only this server; repeatable.", "仅这台服务器；可重复。"),
    "help.tail.group": Text("Only this group; repeatable.", "仅这个分组；可重复。"),
    "help.tail.state": Text(
        "Only transitions to this state; repeatable: {states}.", "仅进入该状态的条目；可重复：{states}。"
    ),
    "help.tail.reason": Text("Only this reason code; repeatable.", "仅该原因代码；可重复。"),
    "help.tail.as_json": Text("One JSON object a line, as in the API.", "每行一个 JSON 对象，与 API 相同。"),
    "help.wanted.group": Text("Only this group.", "仅这个分组。"),
    "help.wanted.as_json": Text("The answer of /api/wanted.", "/api/wanted 的应答。"),
    "help.doctor.urls": Text(
        "Servers, by URL or name. Default: every server of the settings.",
        "服务器的 URL 或名称。默认：设置中的全部服务器。",
    ),
    "help.warm.name": _SERVER,
    "help.warm.group": _GROUP,
    "help.pause.name": _SERVER,
    "help.pause.group": _GROUP,
    "help.pause.duration": Text(
        "End the pause by itself, after 45m, 2h or 1d12h.", "到时自动恢复，例如 45m、2h 或 1d12h。"
    ),
    "help.pause.note": Text("Show a note on the page and in the log.", "在页面和日志中显示的备注。"),
    "help.resume.name": _SERVER,
    "help.resume.group": _GROUP,
    "help.restart.name": _SERVER,
    "help.restart.group": Text("Every server of this group, a few at a time.", "该分组的全部服务器，分批进行。"),
    "help.restart.max_unavailable": Text(
        "How many servers of the group may be not warm at a time, for any cause. Default: 1.",
        "该分组同时最多有多少台服务器未就绪（不论原因）。默认：1。",
    ),
    "help.restart.abort_after": Text(
        "How many failures in a row end it. Default: 1.", "连续失败多少次后中止。默认：1。"
    ),
    "help.rollout-status.as_json": Text("The answer of /api/rollout.", "/api/rollout 的应答。"),
    "help.alert-test.channel": Text("The channel. Default: all channels.", "通道。默认：全部通道。"),
    "help.diagram.markdown": Text("Print the whole page docs/states.md.", "打印整个 docs/states.md 页面。"),
    "help.haproxy.group": Text("Only the servers of this group.", "仅该分组的服务器。"),
    "help.haproxy.backend": Text("The backend's name.", "backend 的名称。"),
    "help.haproxy.agent_addr": Text(
        "The address at which HAProxy reaches this daemon. Default: traffic.agent_host.",
        "HAProxy 访问本服务的地址。默认：traffic.agent_host。",
    ),
    "help.gateway.port": Text("Port instead of gateway.port.", "代替 gateway.port 的端口。"),
    "help.gateway.data_dir": Text(
        "Directory instead of gateway.data_dir; each gateway needs its own.",
        "代替 gateway.data_dir 的目录；每个网关需要自己的目录。",
    ),
    "help.simulate.count": Text("Number of servers.", "服务器数量。"),
    "help.simulate.seed": Text("The same seed gives the same fleet.", "相同的种子得到相同的集群。"),
    "help.simulate.host": Text("Address to listen on.", "监听地址。"),
    "help.simulate.base_port": Text(
        "Port of the first server; 0 takes any free ports.", "第一台服务器的端口；0 表示任意空闲端口。"
    ),
    "help.simulate.scale": Text("Factor for every duration.", "所有时长乘以该系数。"),
    "help.simulate.comfyui": Text(
        "Version of ComfyUI whose answers and frames the servers imitate.",
        "服务器所模仿的 ComfyUI 版本（应答与消息帧）。",
    ),
    "help.simulate.persona": Text(
        "Behaviour of the servers, in turn; repeatable. One of {personas}.",
        "依次分配的服务器行为；可重复。可选：{personas}。",
    ),
    "help.simulate.as_settings": Text(
        "Print a settings file for this fleet instead of a list.", "打印该集群的设置文件，而不是列表。"
    ),
}

PANELS: dict[str, Text] = {
    "help.commands": Text("Commands", "命令"),
    "help.options": Text("Options", "选项"),
    "help.arguments": Text("Arguments", "参数"),
}

FRAME: dict[str, Text] = {
    "help.usage": Text("Usage: ", "用法："),
    "help.usage.options": Text("[OPTIONS]", "[选项]"),
    "help.usage.command": Text("COMMAND [ARGS]...", "命令 [参数]..."),
    "help.hint": Text("`{command}` shows the help.", "运行 `{command}` 可查看帮助。"),
    "help.default": Text("{help} Default: {value}.", "{help}默认：{value}。"),
}

MISUSE: dict[str, Text] = {
    "misuse.command": Text('unknown command "{name}"', "没有命令“{name}”"),
    "misuse.command_close": Text(
        'unknown command "{name}"; did you mean {close}?', "没有命令“{name}”；是否指 {close}？"
    ),
    "misuse.option": Text("unknown option {name}", "没有选项 {name}"),
    "misuse.option_close": Text("unknown option {name}; did you mean {close}?", "没有选项 {name}；是否指 {close}？"),
    "misuse.arguments": Text("unexpected arguments: {arguments}", "多余的参数：{arguments}"),
    "misuse.no_value": Text("option {name} requires a value", "选项 {name} 需要一个值"),
    "misuse.value": Text("option {name} does not take a value", "选项 {name} 不接受值"),
    "misuse.invalid": Text("invalid value for {name}: {problem}", "{name} 的值无效：{problem}"),
    "misuse.problem": Text("{problem}", "{problem}"),
    "misuse.integer": Text("must be an integer", "必须是整数"),
    "misuse.number": Text("must be a number", "必须是数字"),
    "misuse.not_utf8": Text("must be text in UTF-8", "必须是 UTF-8 编码的文本"),
    "misuse.least": Text("must be at least {least}", "不得小于 {least}"),
    "misuse.most": Text("must be at most {most}", "不得大于 {most}"),
    "misuse.range": Text("must be in the range {range}", "必须在 {range} 范围内"),
}
"""Errors of the arguments."""

HELP: dict[str, Text] = {**COMMANDS, **PARAMETERS, **PANELS, **FRAME, **MISUSE}
