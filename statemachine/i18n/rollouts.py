"""The texts of rolling restarts."""

from statemachine.i18n.text import Text

STATES: dict[str, Text] = {
    "rollout.state.running": Text("running", "进行中"),
    "rollout.state.paused": Text("paused", "已暂停"),
    "rollout.state.done": Text("done", "已完成"),
    "rollout.state.aborted": Text("aborted", "已中止"),
    "rollout.state.cancelled": Text("cancelled", "已取消"),
}

STAGES: dict[str, Text] = {
    "rollout.stage.waiting": Text("waiting", "等待中"),
    "rollout.stage.restarting": Text("restarting", "重启中"),
    "rollout.stage.done": Text("done", "已完成"),
    "rollout.stage.failed": Text("failed", "失败"),
    "rollout.stage.skipped": Text("skipped", "已跳过"),
}

REASONS: dict[str, Text] = {
    "rollout.reason.limit_reached": Text(
        "as many servers of the group as allowed are not warm", "该分组未就绪的服务器已达上限"
    ),
    "rollout.reason.last_warm_server": Text(
        "no other server is warm for one of its workflows", "其某个工作流没有其他已就绪的服务器"
    ),
    "rollout.reason.another_restart": Text("another restart of it is under way", "该服务器正在进行另一次重启"),
    "rollout.reason.server_paused": Text("it is paused", "该服务器已停用"),
    "rollout.reason.server_unreachable": Text("it cannot be reached", "无法连接该服务器"),
    "rollout.reason.only_server": Text("it is the only server of one of its workflows", "它是其某个工作流的唯一服务器"),
    "rollout.reason.no_hook": Text("it has no restart hook", "没有重启钩子"),
    "rollout.reason.server_removed": Text("it is no longer in the fleet", "已不在服务器列表中"),
    "rollout.reason.request_refused": Text("its restart was refused; see the daemon's log", "重启被拒绝；详见服务日志"),
    "rollout.reason.restart_cancelled": Text("its restart was cancelled", "重启被取消"),
    "rollout.reason.restarted_meanwhile": Text("another restart came first", "期间已由另一次重启完成"),
    "rollout.reason.not_started": Text("its restart did not begin in time", "重启未能及时开始"),
    "rollout.reason.not_warm_in_time": Text("it returned, but was not warm in time", "已恢复应答，但未能及时就绪"),
    "rollout.reason.run_paused": Text("the run is paused", "滚动重启已暂停"),
    "rollout.reason.run_ended": Text("the run was cancelled or aborted before", "滚动重启在此之前已取消或中止"),
    "rollout.reason.failures_in_a_row": Text("too many restarts failed in a row", "连续失败的重启过多"),
    "rollout.reason.no_progress": Text("no server could be restarted for hours", "数小时内没有可重启的服务器"),
}

SENTENCES: dict[str, Text] = {
    "rollout.progress": Text(
        "group {group}, {total} servers: {done} done, {failed} failed, {skipped} skipped, {restarting} restarting, "
        "{waiting} waiting",
        "分组 {group}，共 {total} 台服务器：已完成 {done}，失败 {failed}，已跳过 {skipped}，重启中 {restarting}，"
        "等待中 {waiting}",
    ),
    "rollout.because": Text("{what}; {why}", "{what}；{why}"),
    "rollout.by": Text("{what} (requested by {by})", "{what}（发起者 {by}）"),
    "rollout.changed_by": Text("{what} (by {by})", "{what}（操作者 {by}）"),
    "rollout.open": Text(
        "a rolling restart of group {group} has not ended; see `comfywarm rollout status`",
        "分组 {group} 的滚动重启尚未结束；见 `comfywarm rollout status`",
    ),
    "rollout.ending": Text(
        "the rolling restart of group {group} is {state}, but {count} of its restarts have not ended; start the next "
        "one once they have, see `comfywarm rollout status`",
        "分组 {group} 的滚动重启{state}，但仍有 {count} 台服务器的重启尚未结束；待其结束后再开始，"
        "见 `comfywarm rollout status`",
    ),
    "rollout.another": Text(
        "another rolling restart, of group {group}, has replaced it; see `comfywarm rollout status`",
        "它已被分组 {group} 的另一次滚动重启取代；见 `comfywarm rollout status`",
    ),
    "rollout.started_elsewhere": Text(
        "another client has just started a rolling restart; see `comfywarm rollout status`",
        "另一个客户端刚刚开始了滚动重启；见 `comfywarm rollout status`",
    ),
    "rollout.none": Text(
        "there has been no rolling restart; start one with `comfywarm restart --group NAME`",
        "还没有滚动重启；可用 `comfywarm restart --group NAME` 开始",
    ),
    "rollout.over": Text(
        "the rolling restart is over ({state}); start another with `comfywarm restart --group NAME`",
        "滚动重启已结束（{state}）；可用 `comfywarm restart --group NAME` 再次开始",
    ),
    "rollout.no_hooks": Text(
        "no server of group {group} has a restart hook; set restart.command or restart.http",
        "分组 {group} 的服务器都没有重启钩子；请设置 restart.command 或 restart.http",
    ),
    "rollout.no_hook": Text(
        "these servers of group {group} have no restart hook: {servers}; set restart.command or restart.http",
        "分组 {group} 中这些服务器没有重启钩子：{servers}；请设置 restart.command 或 restart.http",
    ),
}

ROLLOUTS: dict[str, Text] = {**STATES, **STAGES, **REASONS, **SENTENCES}
