"""Notices: the short name on the page, and the sentence."""

from statemachine.core.vocabulary import Notice
from statemachine.i18n.text import Text

NOTICES: dict[Notice, Text] = {
    Notice.FLEET_VANISHED: Text("Fleet vanished", "大量服务器同时失联"),
    Notice.FLEET_BACK: Text("Fleet back", "集群恢复应答"),
    Notice.JOURNAL_UNAVAILABLE: Text("Journal unavailable", "日志无法写入"),
    Notice.JOURNAL_AVAILABLE: Text("Journal available", "日志恢复写入"),
    Notice.SETTINGS_RELOADED: Text("Settings reloaded", "设置已重新加载"),
    Notice.SETTINGS_REFUSED: Text("Settings refused", "设置有误，未采用"),
    Notice.NODE_CUT_OFF: Text("Node cut off", "节点失联"),
    Notice.NODE_BACK: Text("Node back", "节点恢复"),
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
}
