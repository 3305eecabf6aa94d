"""What the commands say of the daemon and its log, in Chinese; the English sentences are the keys."""

WARMED = "{name} will be warmed; `comfywarm tail -f --server {name}` shows how it goes."
PAUSED = "{name} is taken out: nothing more is submitted there until `comfywarm resume {name}`."
RESUMED = "{name} is given back: it is checked and, if need be, warmed again."
GROUP_WARMED = "Group {name}: {servers} servers will be warmed; `comfywarm tail -f --group {name}` shows how it goes."
GROUP_PAUSED = (
    "Group {name}: {servers} servers are taken out: nothing more is submitted there "
    "until `comfywarm resume --group {name}`."
)
GROUP_RESUMED = "Group {name}: {servers} servers are given back: they are checked and, if need be, warmed again."

NO_SERVER = "there is no server named {name}; `comfywarm status` lists all of them."
NO_SERVER_BUT = "there is no server named {name}; did you mean {close}?"
NO_GROUP = "there is no group named {name}; the groups are {names}"

AWAY = "no comfywarm daemon answers at {url} ({cause})"
ENDED = "the daemon at {url} ended the stream"
SOMEBODY_ELSE = "whoever answers at {url} is no comfywarm daemon"
SOMEBODY_ELSE_SAID = "whoever answers at {url} is no comfywarm daemon (HTTP {status})"
ANY_PORT = "listen.port is 0, any free port: so the daemon cannot be found; set one"

WAITING = "{why}; waiting for it"
BACK = "the daemon is back"
FROM_JOURNAL = "{why}; this is from the journal at {path}"
NO_JOURNAL = "{why}, and there is no journal at {path}"
UNREADABLE = "the journal cannot be read: {error}"

ZH = {
    WARMED: "将预热 {name}；用 `comfywarm tail -f --server {name}` 查看进展。",
    PAUSED: "{name} 已停用：在 `comfywarm resume {name}` 之前不会再向它提交任务。",
    RESUMED: "{name} 已恢复：将检查缓存，需要时重新预热。",
    GROUP_WARMED: "分组 {name}：将预热 {servers} 台服务器；用 `comfywarm tail -f --group {name}` 查看进展。",
    GROUP_PAUSED: (
        "分组 {name}：{servers} 台服务器已停用：在 `comfywarm resume --group {name}` 之前不会再向它们提交任务。"
    ),
    GROUP_RESUMED: "分组 {name}：{servers} 台服务器已恢复：将检查缓存，需要时重新预热。",
    NO_SERVER: "没有名为 {name} 的服务器；`comfywarm status` 会列出全部服务器。",
    NO_SERVER_BUT: "没有名为 {name} 的服务器；是否指 {close}？",
    NO_GROUP: "没有名为 {name} 的分组；现有分组：{names}",
    AWAY: "{url} 没有 comfywarm 服务响应（{cause}）",
    ENDED: "{url} 的服务结束了事件流",
    SOMEBODY_ELSE: "{url} 有响应，但不是 comfywarm 服务",
    SOMEBODY_ELSE_SAID: "{url} 有响应，但不是 comfywarm 服务（HTTP {status}）",
    ANY_PORT: "listen.port 为 0，即任意空闲端口，因此找不到服务；请设置一个端口",
    WAITING: "{why}；正在等待其恢复",
    BACK: "服务已恢复",
    FROM_JOURNAL: "{why}；以下内容来自日志文件 {path}",
    NO_JOURNAL: "{why}，并且没有日志文件 {path}",
    UNREADABLE: "无法读取日志文件：{error}",
}
