"""What the commands print."""

from statemachine.i18n.text import Text

ACTIONS: dict[str, Text] = {
    "cli.warm": Text(
        "{name} will be warmed; follow it with `comfywarm tail -f --server {name}`",
        "将预热 {name}；用 `comfywarm tail -f --server {name}` 查看进展",
    ),
    "cli.restart": Text(
        "{name} will be restarted once it has finished its prompts; `comfywarm resume {name}` cancels that until its "
        "hook runs",
        "{name} 完成其任务后将被重启；在钩子运行之前可用 `comfywarm resume {name}` 取消",
    ),
    "cli.restart.draining": Text(
        "{name} is being restarted already: it finishes its prompts first; `comfywarm resume {name}` cancels that "
        "until its hook runs",
        "{name} 已在重启过程中：正在完成其任务；在钩子运行之前可用 `comfywarm resume {name}` 取消",
    ),
    "cli.restart.restarting": Text(
        "{name} is being restarted already: its hook has begun; it is warmed once it is back",
        "{name} 已在重启过程中：钩子已开始运行；恢复后将预热",
    ),
    "cli.restart.unreachable": Text(
        "{name} does not answer; its hook is run now, without waiting for its prompts; follow it with "
        "`comfywarm tail -f {name}`",
        "{name} 没有响应：将立即运行钩子，不等待其任务；用 `comfywarm tail -f {name}` 查看进展",
    ),
    "cli.resume.failed": Text(
        "{name} is not paused but failed; `comfywarm warm {name}` checks and warms it now",
        "{name} 并未停用，而是失败：用 `comfywarm warm {name}` 立即检查并预热",
    ),
    "cli.resume.not_paused": Text(
        "{name} is not paused (state: {state}); nothing changes", "{name} 未停用或早已恢复（状态：{state}）：无需操作"
    ),
    "cli.warm.restarting": Text(
        "{name} is being restarted; it is checked and warmed once it is back", "{name} 正在重启；恢复后将检查并预热"
    ),
    "cli.resume.draining": Text(
        "{name}: the restart is cancelled; it is checked and, if necessary, warmed",
        "{name}：重启已取消；将检查缓存，需要时重新预热",
    ),
    "cli.resume.restarting": Text(
        "{name}: the restart goes on, because its hook has begun; it is warmed once it is back",
        "{name}：钩子已开始运行，重启继续；恢复后将预热",
    ),
    "cli.pause": Text(
        "{name} paused; nothing is submitted to it until `comfywarm resume {name}`",
        "{name} 已停用：在 `comfywarm resume {name}` 之前不会再向它提交任务",
    ),
    "cli.resume": Text(
        "{name} resumed; it is checked and, if necessary, warmed", "{name} 已恢复：将检查缓存，需要时重新预热"
    ),
    "cli.group.warm": Text(
        "group {name}: {servers} servers will be warmed; follow them with `comfywarm tail -f --group {name}`",
        "分组 {name}：将预热 {servers} 台服务器；用 `comfywarm tail -f --group {name}` 查看进展",
    ),
    "cli.pause.for": Text(
        "{name} paused for {duration}; `comfywarm resume {name}` ends it earlier",
        "{name} 已停用 {duration}；可用 `comfywarm resume {name}` 提前恢复",
    ),
    "cli.group.pause.for": Text(
        "group {name}: {servers} servers paused for {duration}; `comfywarm resume --group {name}` ends it earlier",
        "分组 {name}：{servers} 台服务器已停用 {duration}；可用 `comfywarm resume --group {name}` 提前恢复",
    ),
    "cli.group.pause": Text(
        "group {name}: {servers} servers paused; nothing is submitted to them until `comfywarm resume --group {name}`",
        "分组 {name}：{servers} 台服务器已停用：在 `comfywarm resume --group {name}` 之前不会再向它们提交任务",
    ),
    "cli.group.resume": Text(
        "group {name}: {servers} servers resumed; they are checked and, if necessary, warmed",
        "分组 {name}：{servers} 台服务器已恢复：将检查缓存，需要时重新预热",
    ),
    "cli.rollout.started": Text(
        "group {name}: {servers} servers will be restarted, at most {limit} at a time; "
        "follow them with `comfywarm rollout status`",
        "分组 {name}：将重启 {servers} 台服务器，同时最多 {limit} 台；用 `comfywarm rollout status` 查看进展",
    ),
    "cli.rollout.only_group": Text("only with --group", "仅可与 --group 一起使用"),
    "cli.rollout.head": Text("rolling restart of group {group}: {state}", "分组 {group} 的滚动重启：{state}"),
    "cli.rollout.limits": Text(
        "at most {max_unavailable} not warm at a time; aborted after failures in a row: {abort_after}",
        "同时最多 {max_unavailable} 台未就绪；连续失败 {abort_after} 次后中止",
    ),
    "cli.rollout.started_at": Text("started {time}", "开始于 {time}"),
    "cli.rollout.ended_at": Text("ended {time}", "结束于 {time}"),
    "cli.rollout.changed_at": Text("last changed {time}", "最后操作于 {time}"),
    "cli.rollout.cancelled_at": Text("cancelled {time}", "取消于 {time}"),
    "cli.rollout.paused_at": Text("paused {time}", "暂停于 {time}"),
    "cli.rollout.running_at": Text("resumed {time}", "恢复于 {time}"),
    "cli.rollout.member": Text("{server}  {stage}", "{server}  {stage}"),
    "cli.rollout.member_why": Text("{server}  {stage}: {why}", "{server}  {stage}：{why}"),
    "cli.rollout.under_way": Text(
        "restarts that go on to their end, {count} in all: {servers}",
        "仍会继续直至结束的重启（共 {count} 台）：{servers}",
    ),
    "cli.rollout.left": Text(
        "not restarted, {count} in all: {servers}; `comfywarm rollout resume` restarts only these, "
        "`comfywarm restart --group {group}` restarts all servers of the group",
        "未重启（共 {count} 台）：{servers}；`comfywarm rollout resume` 恢复滚动重启，只重启这些服务器；"
        "`comfywarm restart --group {group}` 重启该分组的全部服务器",
    ),
    "cli.name_or_group": Text("give either a server's NAME or --group NAME", "请指定服务器名称 NAME 或 --group NAME"),
    "cli.unknown_server": Text(
        'unknown server "{name}"; `comfywarm status` lists all servers',
        "没有名为“{name}”的服务器；`comfywarm status` 会列出全部服务器",
    ),
    "cli.unknown_server_close": Text(
        'unknown server "{name}"; did you mean {close}?', "没有名为“{name}”的服务器；是否指 {close}？"
    ),
    "cli.unknown_group": Text(
        'unknown group "{name}"; available: {names}', "没有名为“{name}”的分组；现有分组：{names}"
    ),
    "cli.unknown_group_close": Text(
        'unknown group "{name}"; did you mean {close}?', "没有名为“{name}”的分组；是否指 {close}？"
    ),
}

SETTINGS_FILE: dict[str, Text] = {
    "cli.settings_exist": Text(
        "{path} already exists and is not changed; `comfywarm add URL` adds servers to it",
        "{path} 已存在，未作改动；用 `comfywarm add URL` 向其中加入服务器",
    ),
    "cli.initialised": Text(
        "{path} written; `comfywarm doctor` examines the servers, `comfywarm serve` keeps them warm",
        "已写入 {path}；用 `comfywarm doctor` 诊断服务器，用 `comfywarm serve` 使其保持预热",
    ),
    "cli.initialised_empty": Text(
        "{path} written; add the servers with `comfywarm add http://HOST:8188`",
        "已写入 {path}；用 `comfywarm add http://HOST:8188` 加入服务器",
    ),
    "cli.added": Text(
        "added to {path}: {urls}; a running daemon takes this over by itself, otherwise start it: `comfywarm serve`",
        "已加入 {path}：{urls}；运行中的服务会自动接管，否则请启动：`comfywarm serve`",
    ),
    "cli.already_added": Text(
        "already in {path}: {urls}; nothing was added", "{path} 中已有：{urls}；未加入任何服务器"
    ),
    "cli.removed": Text(
        "removed from {path}: {urls}; a running daemon follows by itself",
        "已从 {path} 中移除：{urls}；运行中的服务会自动随之更新",
    ),
    "cli.not_in_settings": Text(
        "not in {path}: {servers}; nothing was removed. Servers found by `discovery` leave with their source; "
        "`comfywarm check` lists those of the file",
        "{path} 中没有：{servers}；未移除任何服务器。由 `discovery` 发现的服务器随其来源离开；"
        "`comfywarm check` 会列出该文件中的服务器",
    ),
    "cli.last_server": Text(
        "{path} would have no server left; nothing was removed. Add another one first, or stop the daemon",
        "{path} 将不再有任何服务器；未移除任何服务器。请先加入另一台，或停止服务",
    ),
    "cli.part_of_range": Text(
        "{urls} is part of the range {range} in {path}; nothing was removed. Edit the range in the file",
        "{urls} 属于 {path} 中的范围 {range}；未移除任何服务器。请在文件中修改该范围",
    ),
    "cli.comfyui_port": Text(
        "no port given for {urls}: ComfyUI's default port {port} is used",
        "{urls} 未指定端口：使用 ComfyUI 的默认端口 {port}",
    ),
    "cli.http_port": Text(
        "warning: {urls} has no port, so port 80 is used; ComfyUI's default is {port}",
        "注意：{urls} 未指定端口，因此使用端口 80；ComfyUI 的默认端口为 {port}",
    ),
    "cli.one_name": Text(
        'the name "{name}" is for one server; run `comfywarm add URL --name NAME` once for each server',
        "名称“{name}”只能用于一台服务器；请对每台服务器分别运行 `comfywarm add URL --name NAME`",
    ),
    "cli.no_server_list": Text(
        "{path} must be an object whose `servers` is a list", "{path} 应为对象，其中 `servers` 应为列表"
    ),
    "cli.cannot_write": Text("cannot write {path}: {error}", "无法写入 {path}：{error}"),
}

NODE: dict[str, Text] = {
    "cli.node_installed": Text(
        "companion node installed in {path}; restart ComfyUI", "配套节点已安装到 {path}；请重启 ComfyUI"
    ),
    "cli.not_comfyui_folder": Text(
        "{path} is not a folder of ComfyUI: it has no folder custom_nodes",
        "{path} 不是 ComfyUI 的目录：其中没有 custom_nodes 目录",
    ),
    "cli.node_is_link": Text(
        "{path} is a link to {source}, which ComfyUI uses; remove the link to install a copy",
        "{path} 是指向 {source} 的链接，ComfyUI 使用的是后者；若要安装副本，请先删除该链接",
    ),
    "cli.node_not_ours": Text(
        "{path} exists and is not the companion node; move it away",
        "{path} 已存在，但不是配套节点；请将其移走",
    ),
}

STATUS: dict[str, Text] = {
    "cli.seconds": Text("{count} s", "{count} 秒"),
    "cli.minutes": Text("{count} min", "{count} 分钟"),
    "cli.wait_in": Text("{what} in {duration}", "{what}：{duration}后"),
    "cli.wait_due": Text("{what} now", "{what}：即将"),
    "cli.wait_at_most": Text("{what}, at most until {time}", "{what}，最迟到 {time}"),
    "cli.summary": Text("{loaded}/{total} servers loaded: ", "{loaded}/{total} 台服务器已加载："),
    "cli.more_servers": Text(
        "{count} more servers (--all shows them; --group and --state select): ",
        "另有 {count} 台服务器（--all 显示全部；--group、--state 可筛选）：",
    ),
    "cli.wanted.target": Text(
        "servers needed so that prompts wait {seconds} s on average (traffic.target_wait_s):",
        "使任务平均等待 {seconds} 秒（traffic.target_wait_s）所需的服务器：",
    ),
    "cli.source": Text("source {name} ({kind}): {what}", "来源 {name}（{kind}）：{what}"),
    "cli.source.fails": Text(
        "{why}; failures in a row: {count}; its servers are kept until it answers; repair it, or correct its entry in "
        "`discovery`",
        "{why}；连续失败 {count} 次；在恢复应答之前保留其服务器；请修复该来源，或更正 `discovery` 中的条目",
    ),
    "cli.source.held": Text(
        "{why}; add those that still exist to the source again; the others are removed gradually",
        "{why}；请将仍然存在的服务器重新加入该来源，其余的会逐步移除",
    ),
    "cli.source.refused": Text(
        "not used: {why}; correct this at the source, or in its entry in `discovery`",
        "未采用：{why}；请在该来源处更正，或更正 `discovery` 中的条目",
    ),
    "cli.watch_or_json": Text("give either --watch or --json", "--watch 与 --json 只能指定一个"),
}

DAEMON_ACCESS: dict[str, Text] = {
    "cli.daemon_away": Text(
        "no comfywarm daemon answers at {url} ({cause})", "{url} 没有 comfywarm 服务响应（{cause}）"
    ),
    "cli.stream_ended": Text("the daemon at {url} ended the stream", "{url} 的服务结束了事件流"),
    "cli.not_comfywarm": Text("{url} is not a comfywarm daemon", "{url} 有响应，但不是 comfywarm 服务"),
    "cli.not_comfywarm_status": Text(
        "{url} is not a comfywarm daemon (HTTP {status})", "{url} 有响应，但不是 comfywarm 服务（HTTP {status}）"
    ),
    "cli.any_port": Text(
        "no daemon runs in {folder}; while listen.port is 0, its port is known only while it runs",
        "没有服务使用 {folder}；listen.port 为 0 时，只有在服务运行期间才能得知其端口",
    ),
    "client.start_it": Text(
        "start it with `comfywarm serve`, or correct the address (listen.host and listen.port of its settings)",
        "请用 `comfywarm serve` 启动服务，或更正地址（其设置中的 listen.host 与 listen.port）",
    ),
    "client.set_url": Text(
        "start it with `comfywarm serve`, or give its address: url=URL, or the environment variable COMFYWARM_URL",
        "请用 `comfywarm serve` 启动服务，或指定其地址：url=URL 或环境变量 COMFYWARM_URL",
    ),
    "client.no_answer_in_time": Text("it did not answer in time", "未及时响应"),
    "client.untrusted_certificate": Text(
        "its certificate is not trusted; pass certificate=FILE, or use its settings",
        "其证书不受信任；请传入 certificate=FILE，或使用其设置文件",
    ),
    "client.certificate": Text(
        "cannot read the certificate {path}: {error}; pass a PEM file", "无法读取证书 {path}：{error}；请传入 PEM 文件"
    ),
    "client.not_a_url": Text(
        '"{url}" is not the address of a daemon; use http://HOST:PORT', "“{url}”不是服务地址；请使用 http://HOST:PORT"
    ),
    "client.login_in_url": Text(
        "the address has a login, which may show up in logs; pass token=TOKEN instead",
        "地址中含有登录信息，可能出现在日志中；请改用 token=TOKEN",
    ),
    "client.token_refused": Text(
        "the daemon does not accept the token; pass token=TOKEN, or set COMFYWARM_TOKEN, with one of its listen.tokens",
        "服务不接受该令牌；请用 token=TOKEN 或环境变量 COMFYWARM_TOKEN 提供其 listen.tokens 中的令牌",
    ),
    "client.server_or_group": Text("give either a server or a group", "请指定服务器或分组，二者只能选一"),
    "client.not_warm": Text(
        "{count} servers are not loaded after {seconds} s: {servers}",
        "{seconds} 秒后仍有 {count} 台服务器未加载：{servers}",
    ),
    "cli.refused": Text("connection refused", "连接被拒绝"),
    "cli.other_certificate": Text(
        "its certificate is not that of listen.tls.certificate", "其证书与 listen.tls.certificate 不同"
    ),
    "cli.waiting": Text("{cause}; waiting for it", "{cause}；正在等待其恢复"),
    "cli.back": Text("the daemon is back", "服务已恢复"),
    "cli.from_journal": Text("{cause}; reading the journal at {path}", "{cause}；以下内容来自日志文件 {path}"),
    "cli.no_journal": Text("{cause}, and there is no journal at {path}", "{cause}，并且没有日志文件 {path}"),
    "cli.journal_unreadable": Text("cannot read the journal: {error}", "无法读取日志文件：{error}"),
    "cli.not_a_time": Text(
        '"{text}" is not a time; use 2026-01-31T08:00:00Z, or how long ago: 30s, 10m, 2h, 1d',
        "“{text}”不是时间；请使用 2026-01-31T08:00:00Z，或多久以前：30s、10m、2h、1d",
    ),
    "cli.unknown_state": Text('unknown state "{name}"; available: {names}', "没有状态“{name}”；可用：{names}"),
    "cli.unknown_state_close": Text(
        'unknown state "{name}"; did you mean {close}?', "没有状态“{name}”；是否指 {close}？"
    ),
    "cli.unknown_reason": Text(
        'unknown reason code "{name}"; available: {names}', "没有原因代码“{name}”；可用：{names}"
    ),
    "cli.unknown_reason_close": Text(
        'unknown reason code "{name}"; did you mean {close}?', "没有原因代码“{name}”；是否指 {close}？"
    ),
}

DAEMON_ERRORS: dict[str, Text] = {
    "cli.error.token_required": Text(
        "the daemon does not accept the token; set COMFYWARM_TOKEN to one of its listen.tokens, "
        "or use the settings of that daemon",
        "服务不接受该令牌；请将 COMFYWARM_TOKEN 设为其 listen.tokens 之一，或使用该服务的设置",
    ),
    "cli.error.token_may_not_act": Text(
        "this token may not act; set COMFYWARM_TOKEN to one of listen.tokens that may act",
        "该令牌不能执行操作；请将 COMFYWARM_TOKEN 设为 listen.tokens 中可执行操作的令牌",
    ),
    "cli.error.loopback_only": Text(
        "without a token the daemon accepts actions only from its own machine and not through a proxy; "
        "set listen.tokens",
        "未设置令牌时，服务只接受来自本机且不经代理的操作；请设置 listen.tokens",
    ),
    "cli.error.journal_unavailable": Text(
        "the daemon cannot read its journal at the moment; try again later", "服务暂时无法读取日志库；请稍后再试"
    ),
    "cli.error.unknown_server": Text("the daemon does not know this server", "服务中没有这台服务器"),
    "cli.error.unknown_group": Text("the daemon does not know this group", "服务中没有这个分组"),
    "cli.error.restart_no_hook": Text(
        "this server has no restart hook; set restart.command or restart.http (docs/repair.md)",
        "该服务器没有重启钩子；请设置 restart.command 或 restart.http（见 docs/repair.md）",
    ),
    "cli.error.restart_not_stored": Text(
        "the daemon's journal cannot store the request at the moment, so the server is not restarted; try again later",
        "服务的日志库暂时无法保存请求，因此不重启；请稍后再试",
    ),
    "cli.error.cancellation_not_stored": Text(
        "the restart is cancelled, but the daemon's journal cannot store that; it may go on if the daemon ends now",
        "重启已取消，但服务的日志库无法保存；如果服务此时结束，重启可能会继续",
    ),
    "cli.error.restart_paused": Text(
        "this server is paused; resume it before you restart it", "该服务器已停用；请先恢复再重启"
    ),
    "cli.error.owner_away": Text(
        "the node that owns this server does not answer; try again shortly",
        "负责这台服务器的节点没有应答；请稍后再试",
    ),
    "cli.error.terms_ignored": Text(
        "the server is paused, but without end and note: the node that owns it runs an older version",
        "服务器已停用，但没有结束时间和备注：负责它的节点运行的是旧版本",
    ),
    "cli.error.rollout_open": Text(
        "a rolling restart, or the last restarts of one, have not ended; see `comfywarm rollout status`",
        "已有滚动重启或其最后的重启尚未结束；见 `comfywarm rollout status`",
    ),
    "cli.error.another_rollout": Text(
        "another rolling restart has replaced it; see `comfywarm rollout status`",
        "它已被另一次滚动重启取代；见 `comfywarm rollout status`",
    ),
    "cli.error.no_rollout": Text(
        "there has been no rolling restart; start one with `comfywarm restart --group NAME`",
        "还没有滚动重启；可用 `comfywarm restart --group NAME` 开始",
    ),
    "cli.error.rollout_over": Text(
        "the rolling restart is over; see `comfywarm rollout status`",
        "滚动重启已结束；见 `comfywarm rollout status`",
    ),
    "cli.error.rollouts_unavailable": Text(
        "the daemon cannot read or write rolling restarts at the moment; try again in a few seconds",
        "服务暂时无法读写滚动重启；请稍后再试",
    ),
    "cli.error.foreign_origin": Text(
        "the daemon does not accept the request's origin; add its host to listen.hosts",
        "服务不接受该请求的来源；请将其主机名加入 listen.hosts",
    ),
    "cli.error.unknown_host": Text(
        "the daemon does not accept this host name; add it to listen.hosts",
        "服务不接受该主机名；请将其加入 listen.hosts",
    ),
    "cli.error.not_found": Text(
        "the daemon does not know this request; it may be of another version", "服务不支持该请求；其版本可能不同"
    ),
    "cli.error.method_not_allowed": Text(
        "the daemon does not allow this request; it may be of another version", "服务不允许该请求；其版本可能不同"
    ),
    "cli.error.internal_error": Text("internal error of the daemon; see its log", "服务内部错误；详见服务日志"),
    "cli.error.too_many_streams": Text(
        "too many event streams are open; close some, or try again later", "打开的事件流过多；请关闭一些，或稍后再试"
    ),
}
"""The errors of the API by code. Other errors are shown as the daemon sends them."""

HEADINGS: dict[str, Text] = {
    "cli.heading.server": Text("Server", "服务器"),
    "cli.heading.group": Text("Group", "分组"),
    "cli.heading.state": Text("State", "状态"),
    "cli.heading.check": Text("Check", "检查方式"),
    "cli.heading.why": Text("Why", "原因"),
    "cli.heading.queue": Text("Queue", "队列"),
    "cli.heading.servers": Text("Servers", "服务器"),
    "cli.heading.wanted": Text("Wanted", "需要"),
    "cli.heading.change": Text("Change", "增减"),
    "cli.heading.notice": Text("notice", "通知"),
    "cli.heading.since": Text("For", "时长"),
}

OTHERS: dict[str, Text] = {
    "cli.missing": Text("{keys}", "{keys}"),
    "cli.workflow_files": Text("cannot use these workflow files:", "以下工作流文件无法使用："),
    "cli.not_a_server": Text("{url}: {problem}", "{url}：{problem}"),
    "cli.no_channels": Text(
        "the settings have no alerts.channels; docs/alerts.md shows how to write them",
        "设置中没有 alerts.channels；写法见 docs/alerts.md",
    ),
    "cli.unknown_channel": Text(
        'unknown channel "{name}"; available: {names}', "没有名为“{name}”的通道；现有通道：{names}"
    ),
    "cli.unknown_channel_close": Text(
        'unknown channel "{name}"; did you mean {close}?', "没有名为“{name}”的通道；是否指 {close}？"
    ),
    "cli.sent": Text(
        "{place}: accepted; check that it arrives, for some services accept what they do not deliver",
        "{place}：已接收；请确认消息确实送达，因为有些服务会接收但不投递",
    ),
    "cli.not_sent": Text("{place}: not sent: {error}", "{place}：未发送：{error}"),
    "cli.no_agent_port": Text(
        "traffic.agent_port is not set; set the port for agent checks",
        "traffic.agent_port 未设置；请设置 agent-check 的端口",
    ),
    "cli.wildcard_agent_host": Text(
        "traffic.agent_host {host} is not an address to connect to; use --agent-addr",
        "traffic.agent_host {host} 不是可连接的地址；请使用 --agent-addr",
    ),
    "cli.no_gateway": Text(
        "the settings have no `gateway`; docs/gateway.md shows how to write it",
        "设置中没有 `gateway`；写法见 docs/gateway.md",
    ),
    "cli.gateway_cannot_run": Text("the gateway cannot run: {error}", "网关无法运行：{error}"),
    "cli.cannot_run": Text("the daemon cannot run: {error}", "服务无法运行：{error}"),
    "cli.address_in_use": Text(
        "the daemon cannot run: {error}; set another listen.port or stop the program that uses this one",
        "服务无法运行：{error}；请更改 listen.port，或停止占用该端口的程序",
    ),
    "cli.cannot_listen": Text(
        "{error}; see --host and --base-port",
        "模拟服务器无法监听（{error}）；见 --host 和 --base-port",
    ),
    "cli.unknown_comfyui": Text(
        'unknown version "{version}"; write it as in {example}', "未知的版本“{version}”；请写成 {example} 这样的形式"
    ),
    "cli.unknown_persona": Text(
        'unknown persona "{name}"; available: {names}', "没有名为“{name}”的 persona；可用：{names}"
    ),
    "cli.unknown_persona_close": Text(
        'unknown persona "{name}"; did you mean {close}?', "没有名为“{name}”的 persona；是否指 {close}？"
    ),
    "cli.simulating": Text(
        "{count} simulated servers are running; stop them with Ctrl-C", "{count} 台模拟服务器正在运行；按 Ctrl-C 结束"
    ),
}

CLI: dict[str, Text] = {
    **ACTIONS,
    **SETTINGS_FILE,
    **NODE,
    **STATUS,
    **DAEMON_ACCESS,
    **DAEMON_ERRORS,
    **HEADINGS,
    **OTHERS,
}
