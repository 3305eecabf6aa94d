"""The page's labels for its controls and for restarts, and the texts of the page /docs.

Controls are tokens, undoing, copying, shortcuts and the footer. What words on /docs mean is in `states` and `reasons`.
"""

from statemachine.i18n.text import Text

CONTROLS: dict[str, Text] = {
    "token_title": Text("Token needed", "需要令牌"),
    "token_missing": Text(
        "This daemon asks for a token of its settings (listen.token, listen.tokens).",
        "该服务要求提供设置中的令牌（listen.token、listen.tokens）。",
    ),
    "token_wrong": Text(
        "Wrong token: this daemon does not know it. Check it and enter it again.",
        "令牌错误：该服务没有这个令牌。请核对后重新输入。",
    ),
    "token_read_only": Text(
        "This token may only read. Enter one that may act.", "该令牌只能读取。请输入可执行操作的令牌。"
    ),
    "token_hint": Text("It is kept until this tab is closed.", "令牌仅保存到本标签页关闭为止。"),
    "token": Text("Token", "令牌"),
    "undo": Text("Undo", "撤销"),
    "own_page": Text("Open the page of {server}", "打开 {server} 自己的页面"),
    "copy_name": Text("Copy name", "复制名称"),
    "copy_url": Text("Copy address", "复制地址"),
    "copy_prompt": Text("Copy prompt ID", "复制任务 ID"),
    "copy_entry": Text("Copy entry", "复制此条"),
    "copy_raw": Text("Copy raw answer", "复制原始应答"),
    "copied": Text("Copied: {text}", "已复制：{text}"),
    "not_copied": Text("The browser refused to copy; select the text instead.", "浏览器拒绝复制，请改为选中文字。"),
    "shortcuts": Text("Shortcuts", "快捷键"),
    "shortcuts_title": Text("Keyboard shortcuts", "键盘快捷键"),
    "key_pages": Text("PgUp PgDn Home End", "PgUp PgDn Home End 键"),
    "key_enter": Text("Enter", "回车键"),
    "key_escape": Text("Esc", "Esc 键"),
    "key_rows": Text("Move between rows", "在各行之间移动"),
    "key_open": Text("Open the server of the row", "打开该行的服务器"),
    "key_close": Text("Close the server, or clear the search", "关闭服务器详情，或清空搜索"),
    "key_undo": Text(
        "Undo a pause, resume or restart while its message is shown", "提示仍显示时，撤销暂停、恢复或重启"
    ),
    "docs": Text("Documentation", "文档"),
}

RESTARTS: dict[str, Text] = {
    "restart": Text("Restart", "重启"),
    "confirm_restart_title": Text("Restart {server}?", "重启 {server}？"),
    "confirm_restart": Text(
        "It gets no new prompts and finishes those it has (drain). Then its restart hook runs once. When the server is "
        "back, it is warmed, and gets traffic again once a check has confirmed that it is loaded. Resume cancels the "
        "restart while the server drains.",
        "服务器不再接收新任务，先完成已有的任务（排空），随后运行一次重启钩子。服务器恢复后进行预热，检查确认已加载后重新分配流量。"
        "排空期间可用“恢复”取消重启。",
    ),
    "restart_cause": Text("Cause", "起因"),
    "restart_by": Text("Requested by", "发起者"),
    "restart_stage": Text("Stage", "阶段"),
    "restart_requested": Text("Requested", "请求时间"),
    "restart_hook_started": Text("Hook started", "钩子开始"),
    "restart_returned": Text("Returned", "恢复应答"),
    "restart_ended": Text("Ended", "结束时间"),
    "restart_end": Text("How it ended", "结果"),
    "restart_stage_draining": Text("draining", "排空中"),
    "restart_stage_hook": Text("hook started, not back yet", "钩子已开始，尚未恢复"),
    "restart_stage_returned": Text("back, being warmed", "已恢复，预热中"),
    "restart_stage_succeeded": Text("succeeded", "成功"),
    "restart_stage_failed": Text("failed", "失败"),
    "restart_stage_cancelled": Text("cancelled", "已取消"),
    "restart_cause_operator": Text("an operator", "操作者"),
    "restart_cause_queue_stuck": Text("it ran none of its prompts", "不运行任务"),
    "restart_cause_memory": Text("memory in use", "内存占用"),
    "restart_cause_age": Text("time since its last restart", "距上次重启过久"),
    "restart_cause_schedule": Text("schedule", "计划"),
    "restart_cause_rollout": Text("rolling restart", "滚动重启"),
    "rollout_start": Text("Start…", "开始…"),
    "rollout_start_title": Text("Start a rolling restart", "开始滚动重启"),
    "rollout_start_hint": Text(
        "Every server of the group is drained, restarted by its hook, and warmed, a few at a time. "
        "The last warm server of a workflow is left alone.",
        "该分组的每台服务器将分批排空、由钩子重启并预热。不会动某个工作流最后一台就绪的服务器。",
    ),
    "rollout_max_unavailable": Text("At most not warm at a time", "同时未就绪上限"),
    "rollout_abort_after": Text("Abort after failures in a row", "连续失败几次后中止"),
    "rollout_ending": Text(
        "These restarts go on to their end: {servers}. The next rolling restart can be started then.",
        "这些重启会继续直至结束：{servers}。结束后才能开始下一次滚动重启。",
    ),
    "rollout_left": Text(
        "Servers that were not restarted: {count}. Resume restarts them.",
        "有 {count} 台服务器未重启；点“恢复”可重启这些服务器。",
    ),
    "rollout_not_running": Text("none is going on", "当前没有进行"),
    "error_no_restart_hook": Text(
        "Servers of this group have no restart hook; set restart.command or restart.http.",
        "该分组中有服务器没有重启钩子；请设置 restart.command 或 restart.http。",
    ),
    "rollout": Text("Rolling restart", "滚动重启"),
    "rollout_summary": Text(
        "group {group}: {state}, {over} of {total} servers finished",
        "分组 {group}：{state}，已处理 {over}/{total} 台服务器",
    ),
    "rollout_limits": Text(
        "at most {limit} not warm at a time; aborted after failures in a row: {failures}",
        "同时最多 {limit} 台未就绪，连续失败 {failures} 次后中止",
    ),
    "rollout_by": Text("requested by {by}", "发起者 {by}"),
    "rollout_changed_by": Text("last changed by {by}", "最后操作者 {by}"),
    "rollout_changed": Text("last changed", "最后操作于"),
    "rollout_started": Text("started", "开始于"),
    "rollout_ended": Text("ended", "结束于"),
    "rollout_more": Text("and {count} more", "另有 {count} 台"),
    "rollout_cancel": Text("Cancel restart", "取消重启"),
    "rollout_hide": Text("Hide", "隐藏"),
    "rollout_act": Text("{action}: rolling restart of group {group}", "{action}：分组 {group} 的滚动重启"),
    "confirm_rollout_pause": Text(
        "Restarts that are under way go on; no other begins until it is resumed.",
        "正在进行的重启会继续；恢复之前不再开始新的重启。",
    ),
    "confirm_rollout_resume": Text(
        "The servers that wait are restarted within the limits.", "等待中的服务器将在限制内依次重启。"
    ),
    "confirm_rollout_cancel": Text(
        "Restarts that are under way go on; the servers that wait are not restarted.",
        "正在进行的重启会继续；等待中的服务器不再重启。",
    ),
    "error_rollout_open": Text(
        "A rolling restart, or the last restarts of one, have not ended; wait for their end, or cancel it.",
        "已有滚动重启或其最后的重启尚未结束；请等待其结束，或取消它。",
    ),
    "error_no_rollout": Text("There has been no rolling restart; start one first.", "还没有滚动重启；请先开始一次。"),
    "error_rollout_over": Text("The rolling restart is over; start another.", "滚动重启已结束；请再开始一次。"),
    "error_rollouts_unavailable": Text(
        "Rolling restarts cannot be read or written at the moment; try again in a few seconds.",
        "暂时无法读写滚动重启；请几秒后再试。",
    ),
    "error_another_rollout": Text(
        "Another rolling restart has replaced the one that you saw; look at it first.",
        "您看到的滚动重启已被另一次取代；请先查看它。",
    ),
    "error_restart_no_hook": Text(
        "This server has no restart hook; set restart.command or restart.http.",
        "该服务器没有重启钩子；请设置 restart.command 或 restart.http。",
    ),
    "error_restart_not_stored": Text(
        "The journal cannot store the request at the moment, so the server is not restarted.",
        "日志库暂时无法保存请求，因此不重启该服务器。",
    ),
    "error_cancellation_not_stored": Text(
        "The restart is cancelled, but the journal cannot store that; it may go on if the daemon ends now.",
        "重启已取消，但日志库无法保存；如果守护进程此时结束，重启可能会继续。",
    ),
    "error_restart_paused": Text("This server is paused; resume it first.", "该服务器已停用；请先恢复。"),
}

DOCS: dict[str, Text] = {
    "title": Text("Documentation", "文档"),
    "page": Text("Fleet status", "集群状态"),
    "intro": Text(
        "What the words of the page, the API and the log mean in this version.",
        "本版本中，页面、接口和日志所用词语的含义。",
    ),
    "states": Text("States", "状态"),
    "reasons": Text("Reasons", "原因"),
    "notices": Text("Notices", "通知"),
    "api": Text("HTTP API (OpenAPI)", "HTTP 接口（OpenAPI）"),
}
