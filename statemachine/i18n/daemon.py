"""The messages about the daemon itself: its journal, its cluster, its settings."""

from statemachine.i18n.text import Text

DAEMON: dict[str, Text] = {
    "journal_not_open": Text("the journal is not open", "日志库尚未打开"),
    "journal_not_writable": Text("the journal cannot be written", "日志库无法写入"),
    "journal_not_readable": Text("the journal cannot be read: {error}", "无法读取日志库：{error}"),
    "journal_backlog_full": Text("too many entries wait for the journal", "等待写入日志库的内容过多"),
    "journal_too_new": Text(
        "the journal has schema {found}, but this comfywarm only knows schema {known}; install a newer version",
        "日志库的版本为 {found}，而本程序只支持到 {known}；请安装更新的版本",
    ),
    "shared_journal_not_writable": Text("the shared journal cannot be written", "共享日志库无法写入"),
    "already_running": Text("another daemon is already running in {folder}", "{folder} 中已有另一个守护进程在运行"),
    "servers_reconfigured": Text(
        "servers added {added}, removed {removed}, changed {changed}",
        "新增服务器 {added} 台，移除 {removed} 台，更改 {changed} 台",
    ),
    "restart_needed": Text("restart the daemon to change {keys}", "以下设置在下次启动后生效：{keys}"),
    "nats_missing": Text(
        'cluster needs nats-py; install it with: pip install "comfywarm[cluster]"',
        'cluster 需要 nats-py；请安装：pip install "comfywarm[cluster]"',
    ),
    "nats_not_answering": Text(
        "no NATS server of cluster.nats answers: {error}", "cluster.nats 中的 NATS 服务器均无应答：{error}"
    ),
    "server_lost": Text("another node has taken {server} over", "{server} 已由其他节点接管"),
    "cluster_not_answering": Text("the cluster does not answer: {error}", "集群没有应答：{error}"),
}
