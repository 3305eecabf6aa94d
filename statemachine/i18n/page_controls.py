"""The page's labels for tokens, undoing, copying, shortcuts and the footer."""

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
