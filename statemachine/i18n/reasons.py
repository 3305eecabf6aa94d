"""Reason codes and notices: the short name on the page, and the sentence where there is no other message."""

from statemachine.core.vocabulary import Notice, Reason
from statemachine.i18n.text import Text

REASONS: dict[Reason, Text] = {
    Reason.DAEMON_STARTED: Text("Daemon started", "服务刚启动"),
    Reason.CHECK_STARTED: Text("Check started", "正在检查缓存"),
    Reason.ALL_CACHED: Text("Everything cached", "全部已缓存"),
    Reason.KEYS_MISSING: Text("Keys missing", "缺少缓存键"),
    Reason.MODELS_UNLOADED: Text("Models unloaded", "模型已移出内存"),
    Reason.SERVER_AUTO_EXECUTING: Text("Server loads by itself", "服务器正在后台自行加载"),
    Reason.CHECK_ABSENT: Text("No cache check", "没有缓存检查接口"),
    Reason.CHECK_UNRECOGNISED: Text("Check not understood", "检查结果无法识别"),
    Reason.ACCESS_DENIED: Text("Access denied", "访问被拒绝"),
    Reason.RATE_LIMITED: Text("Rate limited", "请求过于频繁"),
    Reason.CACHE_DISABLED: Text("Server keeps nothing", "服务器不保留缓存"),
    Reason.CACHE_TOO_SMALL: Text("Server keeps too little", "服务器保留的缓存不足"),
    Reason.PERMIT_GRANTED: Text("Permit granted", "获准预热"),
    Reason.PROMPT_IN_DOUBT: Text("Earlier prompt in doubt", "先前任务去向待查"),
    Reason.PROMPT_ACCEPTED: Text("Prompt accepted", "任务已被接受"),
    Reason.PROMPT_REFUSED: Text("Prompt refused", "任务被拒绝"),
    Reason.MISSING_NODES: Text("Nodes missing", "缺少节点"),
    Reason.MISSING_MODELS: Text("Model files missing", "缺少模型文件"),
    Reason.WORKFLOW_NOT_API_FORMAT: Text("Workflow file unusable", "工作流文件不可用"),
    Reason.WORKFLOW_MISSING: Text("Workflow file missing", "缺少工作流文件"),
    Reason.PROMPT_SUCCEEDED: Text("Prompt succeeded", "任务已成功"),
    Reason.PROMPT_FAILED: Text("Prompt failed", "任务执行出错"),
    Reason.OUT_OF_MEMORY: Text("Out of memory", "显存或内存不足"),
    Reason.PROMPT_INTERRUPTED: Text("Prompt interrupted", "任务被中断"),
    Reason.PROMPT_LOST: Text("Prompt lost", "任务丢失"),
    Reason.WARM_UP_ENDS_SERVER: Text("Warm-up ends the server", "预热导致服务器退出"),
    Reason.CONTESTED: Text("Lost repeatedly", "反复丢失"),
    Reason.CACHED_WITHOUT_LOADING: Text("Succeeded without loading", "任务成功但未执行加载"),
    Reason.STILL_COLD_AFTER_SUCCESS: Text("Still cold after success", "任务成功后仍未加载"),
    Reason.SERVER_RESTARTED: Text("Server restarted", "服务器已重启"),
    Reason.FOREIGN_WORK_FINISHED: Text("Other work finished", "其他任务已结束"),
    Reason.CACHE_CHANGED: Text("Cache changed", "缓存已变化"),
    Reason.QUEUE_STUCK: Text("Queue stuck", "队列停滞"),
    Reason.LINK_LOST: Text("Link lost", "连接中断"),
    Reason.LINK_RESTORED: Text("Link restored", "连接已恢复"),
    Reason.NOT_ANSWERING: Text("Not answering", "无响应"),
    Reason.ANSWERING_AGAIN: Text("Answering again", "恢复响应"),
    Reason.RETRY_DUE: Text("Retry due", "到达重试时间"),
    Reason.JOURNAL_UNAVAILABLE: Text("Journal unavailable", "日志无法写入"),
    Reason.QUEUE_UNANSWERED: Text("Queue not answered", "队列无应答"),
    Reason.CHECK_REQUESTED: Text("Check requested", "人工请求检查"),
    Reason.WARM_REQUESTED: Text("Warm-up requested", "人工请求预热"),
    Reason.PAUSE_REQUESTED: Text("Pause requested", "人工暂停"),
    Reason.PAUSE_ENDED: Text("Pause ended", "暂停到期"),
    Reason.RESUME_REQUESTED: Text("Resume requested", "人工恢复"),
    Reason.SETTINGS_CHANGED: Text("Settings changed", "设置已更改"),
    Reason.NODE_CUT_OFF: Text("Node cut off", "节点失联"),
    Reason.RESTART_REQUESTED: Text("Restart requested", "请求重启"),
    Reason.DRAIN_TIMED_OUT: Text("Not drained in time", "未能按时排空"),
    Reason.RESTART_CANCELLED: Text("Restart cancelled", "重启已取消"),
    Reason.RESTART_LIMIT: Text("Restart limit reached", "达到重启上限"),
    Reason.HOOK_STARTED: Text("Restart hook started", "重启钩子已启动"),
    Reason.HOOK_FAILED: Text("Restart hook failed", "重启钩子失败"),
    Reason.HOOK_MISSING: Text("No restart hook", "没有重启钩子"),
    Reason.SERVER_RETURNED: Text("Server returned", "服务器已重新上线"),
    Reason.NOT_RETURNED: Text("Server did not return", "服务器未恢复"),
    Reason.NOT_RESTARTED: Text("Server did not restart", "服务器未重启"),
    Reason.NOT_WARMED: Text("Not warm in time after its restart", "重启后未能按时就绪"),
}

REASON_MEANINGS: dict[Reason, Text] = {
    Reason.DAEMON_STARTED: Text(
        "the daemon has just started and knows nothing about the server yet",
        "守护进程刚刚启动，尚不了解这台服务器的状态",
    ),
    Reason.CHECK_STARTED: Text("the cache check is running", "正在查询缓存状态"),
    Reason.ALL_CACHED: Text("the check reports that everything is cached", "检查结果：所需内容已全部缓存"),
    Reason.KEYS_MISSING: Text(
        "the check reports missing keys, and nothing is loading them",
        "检查结果：缺少缓存，且没有人在加载",
    ),
    Reason.MODELS_UNLOADED: Text(
        "every key is cached, but models are below the level that the settings want",
        "缓存键齐全，但有模型低于设置要求的级别",
    ),
    Reason.SERVER_AUTO_EXECUTING: Text(
        "keys are missing, and the server has started its own cache workflow",
        "缺少缓存，服务器已自动在后台执行缓存工作流，无需手动提交",
    ),
    Reason.CHECK_ABSENT: Text("the server has no such cache check (404)", "服务器没有这个缓存检查接口（404）"),
    Reason.CHECK_UNRECOGNISED: Text(
        "the answer of the check is not understood; its raw text is kept",
        "检查的应答无法识别，原文已保留",
    ),
    Reason.ACCESS_DENIED: Text(
        "the server requires credentials, or rejects the configured ones",
        "服务器要求登录凭据，或拒绝了现有凭据",
    ),
    Reason.RATE_LIMITED: Text(
        "the server or a proxy before it limits the rate of requests (429); nothing is sent until its pause has passed",
        "服务器或其前面的代理限制了请求频率（429）；在其要求的等待时间结束前不发送任何请求",
    ),
    Reason.CACHE_DISABLED: Text(
        "the server keeps nothing between prompts (--cache-none, or too little free memory), so a workflow without"
        " cache keys cannot stay loaded",
        "服务器在任务之间不保留任何结果（--cache-none，或可用内存过少），没有缓存键的工作流无法保持已加载",
    ),
    Reason.CACHE_TOO_SMALL: Text(
        "the server does not keep the results of all its workflows without cache keys, so they displace one another;"
        " each has run, and none is repeated",
        "服务器无法同时保留所有没有缓存键的工作流的结果，它们会互相挤出；每个都已运行过，不再重复",
    ),
    Reason.PERMIT_GRANTED: Text(
        "the limits allow another warm-up, and the queue is idle",
        "额度允许再预热一台，且队列空闲",
    ),
    Reason.PROMPT_IN_DOUBT: Text(
        "an earlier warm-up may still be in progress; it is looked up first",
        "之前提交的预热任务可能仍在进行，先查明其下落",
    ),
    Reason.PROMPT_ACCEPTED: Text("the server has put our prompt into its queue", "服务器已将我们的任务放入队列"),
    Reason.PROMPT_REFUSED: Text(
        "the server refused the workflow or a part of it",
        "服务器拒绝了工作流，或拒绝了其中一部分",
    ),
    Reason.MISSING_NODES: Text(
        "the server lacks node classes that the workflow needs; nothing was submitted",
        "服务器缺少工作流需要的节点；没有提交",
    ),
    Reason.MISSING_MODELS: Text(
        "the server lacks model files that the workflow needs; nothing was submitted",
        "服务器缺少工作流需要的模型文件；没有提交",
    ),
    Reason.WORKFLOW_NOT_API_FORMAT: Text(
        "the workflow file cannot be used; nothing was submitted",
        "工作流文件无法使用；没有提交",
    ),
    Reason.WORKFLOW_MISSING: Text(
        "no workflow file has this name; nothing was submitted",
        "没有该名称的工作流文件；没有提交",
    ),
    Reason.PROMPT_SUCCEEDED: Text(
        "our prompt succeeded; a check confirms next that the keys are cached",
        "我们的任务已成功结束；接下来由检查确认缓存是否就绪",
    ),
    Reason.PROMPT_FAILED: Text("a node of our prompt raised an exception", "我们的任务中有节点抛出异常"),
    Reason.OUT_OF_MEMORY: Text(
        "our prompt ran out of memory; ComfyUI then unloads all models",
        "我们的任务耗尽了显存；ComfyUI 随后会卸载全部模型",
    ),
    Reason.PROMPT_INTERRUPTED: Text("our prompt was interrupted", "有人中断了我们的任务"),
    Reason.PROMPT_LOST: Text(
        "our prompt is neither queued, nor running, nor in the history",
        "已证实我们的任务既不在队列中，也不在运行，也不在历史里",
    ),
    Reason.WARM_UP_ENDS_SERVER: Text(
        "each warm-up ends this server's process; probably it runs out of memory",
        "每次预热都会使服务器进程终止，很可能是内存不足",
    ),
    Reason.CONTESTED: Text(
        "the models are lost repeatedly soon after they are loaded, to other work or with the server's process;"
        " warm-ups become less frequent",
        "模型加载后不久就一再丢失（被其他任务挤出，或服务器进程终止）；预热频率逐步降低",
    ),
    Reason.CACHED_WITHOUT_LOADING: Text(
        "our prompt succeeded without running its cache nodes, so keys are still missing",
        "任务成功但缓存节点并未运行，因此仍然缺少缓存",
    ),
    Reason.STILL_COLD_AFTER_SUCCESS: Text(
        "our prompt succeeded, but the check still reports missing keys",
        "任务已运行成功，但检查仍然缺少缓存",
    ),
    Reason.SERVER_RESTARTED: Text(
        "the server restarted: its queue, history and cache are gone",
        "服务器已重启：队列、历史和缓存都已丢失",
    ),
    Reason.FOREIGN_WORK_FINISHED: Text(
        "another prompt finished and may have changed the cache",
        "其他任务已结束，缓存内容可能发生变化",
    ),
    Reason.CACHE_CHANGED: Text("the server reports that its cache has changed", "服务器通知：缓存内容发生了变化"),
    Reason.QUEUE_STUCK: Text(
        "our prompt is still on the server, but has made no progress for too long",
        "我们的任务长时间没有进展，仍在服务器上",
    ),
    Reason.LINK_LOST: Text("the /ws connection broke, so changes may be missed", "/ws 连接断开，之后的变化将无法得知"),
    Reason.LINK_RESTORED: Text(
        "the /ws connection is back; changes may have been missed meanwhile",
        "/ws 连接已恢复，断开期间发生了什么不得而知",
    ),
    Reason.NOT_ANSWERING: Text("the server did not answer several times in a row", "服务器连续多次没有应答"),
    Reason.ANSWERING_AGAIN: Text("the server answers again", "服务器恢复应答"),
    Reason.RETRY_DUE: Text("the long wait after a failure has ended", "失败后的长等待已结束"),
    Reason.JOURNAL_UNAVAILABLE: Text(
        "the journal cannot be written, so nothing is submitted",
        "日志库无法写入，因此不能提交",
    ),
    Reason.QUEUE_UNANSWERED: Text(
        "nothing is submitted, because the server does not say what it is working on or what is installed",
        "服务器没有说明正在执行什么或安装了什么，因此不提交",
    ),
    Reason.CHECK_REQUESTED: Text("the operator requested a check", "操作员要求检查"),
    Reason.WARM_REQUESTED: Text("the operator requested a warm-up", "操作员要求预热"),
    Reason.PAUSE_REQUESTED: Text("the operator paused the server", "操作员将服务器停用"),
    Reason.PAUSE_ENDED: Text("the time of the pause is over", "停用时间已到"),
    Reason.RESUME_REQUESTED: Text("the operator resumed the server", "操作员将服务器恢复"),
    Reason.SETTINGS_CHANGED: Text(
        "the settings or a workflow of the server changed, so it is checked again",
        "该服务器的设置或工作流已更改，将重新检查",
    ),
    Reason.NODE_CUT_OFF: Text(
        "this node has lost contact with the node that owns the server, and does not know its state",
        "本节点与负责该服务器的节点失去联系，不了解其状况",
    ),
    Reason.RESTART_REQUESTED: Text(
        "a restart was requested; the server finishes its prompts first", "已请求重启；服务器先完成队列中的任务"
    ),
    Reason.DRAIN_TIMED_OUT: Text(
        "the server did not finish its prompts in time, so it was not restarted", "服务器未能按时完成任务，因此没有重启"
    ),
    Reason.RESTART_CANCELLED: Text(
        "the operator cancelled the restart before its hook was run", "操作员在钩子运行之前取消了重启"
    ),
    Reason.RESTART_LIMIT: Text(
        "the server runs none of its prompts and needs another restart, but its settings allow none now",
        "服务器不运行任务，需要再次重启，但设置目前不允许再次重启",
    ),
    Reason.HOOK_STARTED: Text("the restart hook is running", "重启钩子正在运行"),
    Reason.HOOK_FAILED: Text("the restart hook failed", "重启钩子运行失败"),
    Reason.HOOK_MISSING: Text("the settings no longer say how to restart the server", "设置中不再说明如何重启该服务器"),
    Reason.SERVER_RETURNED: Text(
        "the server answers again as another process, and is warmed", "服务器已以新进程恢复应答，开始预热"
    ),
    Reason.NOT_RETURNED: Text(
        "the server did not answer in time after the restart hook", "重启钩子运行之后，服务器未能按时恢复应答"
    ),
    Reason.NOT_RESTARTED: Text(
        "the restart hook succeeded, but no other process of the server answers than before",
        "重启钩子运行成功，但没有迹象表明应答的是新的服务器进程",
    ),
    Reason.NOT_WARMED: Text(
        "the server has returned from its restart, and was not loaded in time; it is checked and warmed as usual",
        "服务器已从重启中恢复，但未能按时就绪；继续照常检查和预热",
    ),
}


NOTICES: dict[Notice, Text] = {
    Notice.FLEET_VANISHED: Text("Fleet vanished", "大量服务器同时失联"),
    Notice.FLEET_BACK: Text("Fleet back", "集群恢复应答"),
    Notice.JOURNAL_UNAVAILABLE: Text("Journal unavailable", "日志无法写入"),
    Notice.JOURNAL_AVAILABLE: Text("Journal available", "日志恢复写入"),
    Notice.SETTINGS_RELOADED: Text("Settings reloaded", "设置已重新加载"),
    Notice.SETTINGS_REFUSED: Text("Settings refused", "设置有误，未采用"),
    Notice.NODE_CUT_OFF: Text("Node cut off", "节点失联"),
    Notice.NODE_BACK: Text("Node back", "节点恢复"),
    Notice.DISCOVERY_CHANGED: Text("Discovered servers changed", "发现的服务器有变动"),
    Notice.DISCOVERY_FAILED: Text("Discovery failed", "服务器发现失败"),
    Notice.DISCOVERY_RECOVERED: Text("Discovery recovered", "服务器发现恢复"),
    Notice.DISCOVERY_REFUSED: Text("Discovered servers refused", "发现的服务器未采用"),
    Notice.DISCOVERY_HELD: Text("Removal held back", "暂缓移除服务器"),
    Notice.ROLLOUT_STARTED: Text("Rolling restart", "滚动重启"),
    Notice.ROLLOUT_PAUSED: Text("Rolling restart paused", "滚动重启已暂停"),
    Notice.ROLLOUT_RESUMED: Text("Rolling restart resumed", "滚动重启已恢复"),
    Notice.ROLLOUT_DONE: Text("Rolling restart done", "滚动重启已完成"),
    Notice.ROLLOUT_ABORTED: Text("Rolling restart aborted", "滚动重启已中止"),
    Notice.ROLLOUT_CANCELLED: Text("Rolling restart cancelled", "滚动重启已取消"),
    Notice.RESTART_WITHHELD: Text("Restart withheld", "暂不重启"),
}

NOTICE_MEANINGS: dict[Notice, Text] = {
    Notice.FLEET_VANISHED: Text(
        "most servers stopped answering at once, so the cause is probably on our side: no state is changed for now",
        "多数服务器同时无应答，问题很可能在我们这一侧：暂不下结论",
    ),
    Notice.FLEET_BACK: Text(
        "servers answer again, or the longest pause has passed: states are changed again",
        "服务器恢复应答，或暂停期已满：重新开始判断",
    ),
    Notice.JOURNAL_UNAVAILABLE: Text(
        "the journal cannot be written: servers are watched, but nothing is submitted",
        "日志库无法写入：继续监视，但不提交任何任务",
    ),
    Notice.JOURNAL_AVAILABLE: Text("the journal can be written again", "日志库恢复写入"),
    Notice.SETTINGS_RELOADED: Text("changed settings or workflow files are active", "新的设置或工作流文件已生效"),
    Notice.SETTINGS_REFUSED: Text(
        "changed settings or workflow files are invalid, so the previous ones stay active",
        "新的设置或工作流文件有误，继续使用原有设置",
    ),
    Notice.NODE_CUT_OFF: Text(
        "this node has lost contact with the cluster: prompts in flight are followed, but nothing new is submitted",
        "本节点与集群失去联系：继续跟踪进行中的任务，但不提交任何新任务",
    ),
    Notice.NODE_BACK: Text("this node has rejoined the cluster", "本节点已重新加入集群"),
    Notice.DISCOVERY_CHANGED: Text(
        "a source of servers has new ones, or no longer has others", "来源新增了服务器，或不再包含某些服务器"
    ),
    Notice.DISCOVERY_FAILED: Text(
        "a source of servers gives no usable answer: the servers that it named before stay",
        "服务器来源没有给出可用的应答：保留其之前列出的服务器",
    ),
    Notice.DISCOVERY_RECOVERED: Text("a source of servers answers again", "服务器来源已恢复应答"),
    Notice.DISCOVERY_REFUSED: Text(
        "some servers of a source cannot be used, the others are", "来源中的某些服务器无法采用，其余照常采用"
    ),
    Notice.DISCOVERY_HELD: Text(
        "many servers of a source vanished at once, which may be the source's fault: they are removed gradually",
        "某来源的大量服务器同时消失，可能是来源出错：逐步移除",
    ),
    Notice.ROLLOUT_STARTED: Text("a rolling restart has begun", "滚动重启已开始"),
    Notice.ROLLOUT_PAUSED: Text(
        "the rolling restart is paused: restarts under way go on, no other begins",
        "滚动重启已暂停：正在进行的重启继续，不再开始新的重启",
    ),
    Notice.ROLLOUT_RESUMED: Text("the rolling restart goes on", "滚动重启已恢复"),
    Notice.ROLLOUT_DONE: Text("the rolling restart is done", "滚动重启已完成"),
    Notice.ROLLOUT_ABORTED: Text(
        "the rolling restart was aborted: restarts under way go on, no other begins",
        "滚动重启已中止：正在进行的重启继续，不再开始新的重启",
    ),
    Notice.ROLLOUT_CANCELLED: Text(
        "the rolling restart was cancelled: restarts under way go on, no other begins",
        "滚动重启已取消：正在进行的重启继续，不再开始新的重启",
    ),
    Notice.RESTART_WITHHELD: Text(
        "a trigger asks for a restart that its limits forbid; the server stays in service",
        "触发条件要求重启，但已达到上限；服务器继续提供服务",
    ),
}
