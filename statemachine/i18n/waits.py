"""What a server waits for. The time of the next action, if it is known, follows the text."""

from statemachine.i18n.text import Text

WAITS: dict[str, Text] = {
    "wait.start": Text("waits for its turn to be checked", "等待轮到检查"),
    "wait.turn": Text("next check", "下次检查"),
    "wait.check": Text("next check", "下次检查"),
    "wait.check_answer": Text("waits for the answer to its cache check", "等待缓存检查的应答"),
    "wait.check_slot": Text(
        "{limit} checks running (limits.max_checks), waits for one to end",
        "已有 {limit} 个检查在进行（limits.max_checks），等待空位",
    ),
    "wait.contested_check": Text(
        "its models did not stay, next check, which makes it load them", "模型未能保留，下次检查（会触发加载）"
    ),
    "wait.idle_queue": Text("being asked whether it can be warmed now", "正在确认是否可以预热"),
    "wait.after_failures": Text("next warm-up after failures", "失败后的下次预热"),
    "wait.rate_limit": Text("the server limits requests, next request", "服务器限制请求频率，下次请求"),
    "wait.contested": Text("its models did not stay, next warm-up", "模型未能保留，下次预热"),
    "wait.busy_queue": Text("queue busy", "队列繁忙"),
    "wait.link": Text("waits for its /ws connection", "等待 /ws 连接"),
    "wait.permit": Text(
        "{running} of {limit} warm-ups running, number {place} in line", "正在预热 {running}/{limit}，排在第 {place} 位"
    ),
    "wait.node_permit": Text(
        "{running} of {limit} warm-ups running, number {place} in the line of its node",
        "正在预热 {running}/{limit}，在所属节点中排在第 {place} 位",
    ),
    "wait.permit_far": Text(
        "{running} of {limit} warm-ups running, more than {before} servers come first",
        "正在预热 {running}/{limit}，前面还有超过 {before} 台服务器",
    ),
    "wait.host_permit": Text(
        "{running} of {limit} warm-ups running on host {host}, number {place} in line",
        "主机 {host} 上正在预热 {running}/{limit}，排在第 {place} 位",
    ),
    "wait.permit_granted": Text("a warm-up is free, being assigned", "有空闲的预热名额，正在分配"),
    "wait.journal": Text("the journal cannot be written, next look", "日志库无法写入，下次查看"),
    "wait.cluster": Text("waits until this node reaches the cluster again", "等待本节点重新连上集群"),
    "wait.outage": Text("most of the fleet does not answer, next look", "大部分服务器没有应答，下次查看"),
    "wait.attempt": Text("next attempt", "下次尝试"),
    "wait.own_loading": Text("loads by itself, next look", "正在后台自行加载，下次查看"),
    "wait.submission": Text("waits for the answer to the warm-up's submission", "等待预热任务的提交应答"),
    "wait.lookup": Text("looking up whether the server has the warm-up", "正在查找服务器是否已有该预热任务"),
    "wait.warm_up": Text("warm-up running", "预热任务运行中"),
    "wait.probe": Text("next attempt to reach it", "下次尝试连接"),
    "wait.retry": Text("next attempt", "下次尝试"),
    "wait.pause_end": Text("paused, resumes", "停用中，自动恢复"),
    "wait.standstill": Text("runs none of its prompts; next look", "未运行任何任务；下次查看"),
    "wait.drain": Text("finishes its prompts before the restart", "重启前先完成队列中的任务"),
    "wait.hook": Text("restart hook running", "重启钩子运行中"),
    "wait.return": Text("waits until the server is back after the restart", "等待服务器重启后恢复"),
    "wait.resume": Text("waits until an operator resumes it", "等待人工恢复"),
}
