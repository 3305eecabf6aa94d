"""The problems of a settings file: what was found, and what is allowed."""

from statemachine.i18n.text import Text

PROBLEMS: dict[str, Text] = {
    "settings.problem": Text("{path}: {fault}; {remedy}", "{path}：{fault}；{remedy}"),
    "settings.one_problem": Text("the settings have 1 problem:", "设置有 1 处错误："),
    "settings.problems": Text("the settings have {count} problems:", "设置有 {count} 处错误："),
    "settings.more_problems": Text("… and {count} more", "……以及另外 {count} 处"),
    "settings.whole_file": Text("(the whole file)", "（整个文件）"),
    "settings.found": Text("found {value}", "实际为 {value}"),
    "settings.allowed": Text("allowed: {allowed}", "允许：{allowed}"),
    "settings.unknown_key": Text("unknown key", "未知的键"),
    "settings.did_you_mean": Text('did you mean "{key}"?', "是否指“{key}”？"),
    "settings.known_keys": Text("known keys: {keys}", "可用的键：{keys}"),
    "settings.missing_key": Text("required key is missing", "缺少必填的键"),
    "settings.add_key": Text("add it", "请添加"),
    "settings.unset_variable": Text("the environment variable {name} is not set", "环境变量 {name} 未设置"),
    "settings.set_variable": Text(
        "set it, or write ${text} for the literal text {text}", "请设置；若需要文本 {text} 本身，请写作 ${text}"
    ),
    "settings.file_not_found": Text("{path} not found", "找不到 {path}"),
    "settings.file_unreadable": Text("cannot read {path}: {cause}", "无法读取 {path}：{cause}"),
    "settings.file_advice": Text(
        "{fault}; `comfywarm init` writes one, --settings FILE names another, `comfywarm serve --demo` needs none",
        "{fault}；`comfywarm init` 可新建，--settings FILE 可另行指定，`comfywarm serve --demo` 无需设置文件",
    ),
    "settings.readable_file": Text("pass the path of a readable settings file", "请指定可读取的设置文件"),
}

FOUND: dict[str, Text] = {
    "settings.secret": Text("a secret (not shown)", "机密（不显示）"),
    "settings.object": Text("an object", "对象"),
    "settings.list_of": Text("a list of {count}", "{count} 项的列表"),
    "settings.very_large": Text("a very large number", "极大的数"),
    "settings.this_name": Text("this name", "该名称"),
    "settings.servers_in_all": Text("{count} servers", "{count} 台服务器"),
    "settings.name_for_many": Text(
        "one name for the {count} servers of its url", "url 含 {count} 台服务器，却只有一个名称"
    ),
    "settings.duplicate_of": Text("{value}, which servers[{place}] also has", "{value}，与 servers[{place}] 重复"),
    "settings.invalid_json": Text("invalid JSON ({error})", "无效的 JSON（{error}）"),
    "settings.deep_nesting": Text("deeper nesting", "更深的嵌套"),
    "settings.file_fault": Text("{path} ({cause})", "{path}（{cause}）"),
    "settings.not_pem": Text("not readable as PEM", "无法作为 PEM 读取"),
}

TYPES: dict[str, Text] = {
    "settings.list": Text("a list", "列表"),
    "settings.text": Text("text", "文本"),
    "settings.text_path": Text("a path (text)", "路径（文本）"),
    "settings.utf8_text": Text("text that can be encoded in UTF-8", "可用 UTF-8 编码的文本"),
    "settings.whole_number": Text("a whole number", "整数"),
    "settings.number": Text("a number", "数"),
    "settings.finite_number": Text("a finite number", "有限的数"),
    "settings.true_or_false": Text("true or false", "true 或 false"),
    "settings.at_least": Text("at least {limit}", "不小于 {limit}"),
    "settings.at_most": Text("at most {limit}", "不大于 {limit}"),
    "settings.one_of": Text("one of {values}", "以下之一：{values}"),
    "settings.not_empty": Text("text that is not empty", "非空文本"),
    "settings.max_characters": Text("at most {count} characters", "最多 {count} 个字符"),
    "settings.max_items": Text("at most {count} items", "最多 {count} 项"),
    "settings.max_depth": Text("at most {depth} levels of lists and objects", "列表和对象最多嵌套 {depth} 层"),
    "settings.json": Text("JSON in UTF-8", "UTF-8 编码的 JSON"),
}

VALUES: dict[str, Text] = {
    "settings.name": Text(
        "1 to {max} printable characters without / \\ ? # % and without spaces at either end",
        "1 至 {max} 个可见字符，不含 / \\ ? # %，首尾无空格",
    ),
    "settings.reference": Text(
        "{reference} with the name of an environment variable, or $${ for the literal text ${",
        "{reference}，其中为环境变量名；文本 ${ 本身写作 $${",
    ),
    "settings.workflow_without_suffix": Text(
        'the name without ".json"; NAME is NAME.json in workflows_dir',
        "不带“.json”的名称；NAME 指 workflows_dir 中的 NAME.json",
    ),
    "settings.no_leading_dot": Text("a name that does not start with a dot", "不以点开头的名称"),
    "settings.distinct_names": Text("at least one name, and each name only once", "至少一个名称，且每个名称只出现一次"),
    "settings.path": Text("a path of printable characters", "由可见字符组成的路径"),
    "settings.route": Text(
        "a path on the server that starts with one /, without spaces and #",
        "服务器上的路径，以一个 / 开头，不含空格和 #",
    ),
    "settings.ascii_route": Text(
        "a path in printable ASCII (percent-encode the rest)",
        "由可打印 ASCII 字符组成的路径（其他字符请用百分号编码）",
    ),
    "settings.read_only_route": Text(
        "a read-only route; routes that end in /remove or /clear would empty the cache",
        "只读接口；以 /remove 或 /clear 结尾的接口会清空缓存",
    ),
    "settings.header_name": Text(
        "the name of an HTTP header: ASCII letters, digits and !#$%&'*+-.^_`|~",
        "HTTP 头的名称：ASCII 字母、数字和 !#$%&'*+-.^_`|~",
    ),
    "settings.header_value": Text(
        "printable ASCII on one line, without spaces at either end", "单行可打印 ASCII 字符，首尾无空格"
    ),
    "settings.distinct_headers": Text(
        "each header only once (names are case-insensitive)", "每个头只出现一次（名称不区分大小写）"
    ),
    "settings.token": Text(
        "null, or printable ASCII without spaces, not empty", "null，或不含空格的非空可打印 ASCII 字符"
    ),
    "settings.named_token": Text("printable ASCII without spaces, not empty", "不含空格的非空可打印 ASCII 字符"),
    "settings.token_entry": Text(
        "a token (text), or an object with token and may", "令牌（文本），或含 token 和 may 的对象"
    ),
    "settings.distinct_tokens": Text("a different token for each name", "每个名称使用不同的令牌"),
    "settings.exposed_without_token": Text(
        "not set, although {key} lets other machines reach the page", "未设置，但 {key} 使其他机器可以访问页面"
    ),
    "settings.gateway_without_token": Text(
        "not set, although {key} lets other machines reach the gateway", "未设置，但 {key} 使其他机器可以访问网关"
    ),
    "settings.set_token": Text(
        "add one, for example {example}; `openssl rand -hex 32` prints a random token",
        "请添加，例如 {example}；`openssl rand -hex 32` 可生成随机令牌",
    ),
    "settings.bind_host": Text("a host name or an IP address, without brackets", "主机名或 IP 地址，不带方括号"),
    "settings.host_name": Text("a host name without port", "不带端口的主机名"),
    "settings.size": Text('a size like "20 MB" (KB, MB or GB)', '大小，例如 "20 MB"（KB、MB 或 GB）'),
    "settings.certificates": Text(
        "a PEM file with certificates, readable by comfywarm's user",
        "含证书的 PEM 文件，运行 comfywarm 的用户可读取",
    ),
    "settings.certificate_key": Text(
        "the PEM file with the key of listen.tls.certificate, without a passphrase, readable by comfywarm's user",
        "含 listen.tls.certificate 的密钥的 PEM 文件，无口令，运行 comfywarm 的用户可读取",
    ),
}

SERVERS: dict[str, Text] = {
    "settings.server": Text('a URL, or an object with a "url"', 'URL，或带有 "url" 的对象'),
    "settings.some_server": Text(
        "at least one server; `comfywarm add URL` adds one", "至少一台服务器；`comfywarm add URL` 可加入"
    ),
    "settings.distinct_urls": Text("each url only once", "每个 url 只出现一次"),
    "settings.distinct_server_names": Text("each name only once", "每个名称只出现一次"),
    "settings.name_for_one": Text("a name only if the url is one server's", "仅当 url 为一台服务器时可有名称"),
    "settings.max_servers": Text(
        "at most {max} servers in one settings file, not {count}", "一个设置文件最多 {max} 台服务器，而不是 {count} 台"
    ),
    "settings.server_url": Text(
        "http://HOST:PORT or https://HOST:PORT, optionally with a path prefix, without ? and #",
        "http://HOST:PORT 或 https://HOST:PORT，可带路径前缀，不含 ? 和 #",
    ),
    "settings.workflow": Text(
        'a workflow\'s name, or an object with "name" and "warm"', '工作流的名称，或含 "name" 与 "warm" 的对象'
    ),
    "settings.url_without_login": Text(
        'a URL without a user name or password: put them into "headers", as "{variable}"',
        '不含用户名和密码的 URL：请写入 "headers"，例如 "{variable}"',
    ),
    "settings.url_prefix": Text(
        "a path prefix of plain URL characters (ranges are allowed only in the host and the port)",
        "由普通 URL 字符组成的路径前缀（范围只能用于主机和端口）",
    ),
    "settings.host_and_port": Text(
        "HOST or HOST:PORT; in brackets a range like [144-150] or [8188-8488:100], or an IPv6 address",
        "HOST 或 HOST:PORT；方括号中为范围，如 [144-150] 或 [8188-8488:100]，或 IPv6 地址",
    ),
    "settings.port": Text("a port from 1 to {max}", "1 至 {max} 的端口"),
    "settings.range_step": Text(
        "a range with a step of 1 or more, like [8188-8488:100]", "步长至少为 1 的范围，如 [8188-8488:100]"
    ),
    "settings.ascending_range": Text("a range that ascends, like [144-150]", "递增的范围，如 [144-150]"),
    "settings.ipv6": Text(
        "a valid IPv6 address in brackets, or a range like [144-150]", "方括号中的有效 IPv6 地址，或范围，如 [144-150]"
    ),
    "settings.ipv4": Text(
        "a valid IPv4 address, or a host name that does not end in a number",
        "有效的 IPv4 地址，或不以数字结尾的主机名",
    ),
    "settings.host": Text(
        "a host: a name in ASCII letters, digits, - _ and dots, or an IP address",
        "主机：由 ASCII 字母、数字、- _ 和点组成的名称，或 IP 地址",
    ),
}

CLUSTER_AND_ALERTS: dict[str, Text] = {
    "settings.nats_url": Text(
        "nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ or TOKEN@ before the host",
        "nats://HOST:PORT 或 tls://HOST:PORT，主机前可有 USER:PASSWORD@ 或 TOKEN@",
    ),
    "settings.some_url": Text("at least one URL", "至少一个 URL"),
    "settings.prefix": Text(
        "a lowercase letter, then up to 30 lowercase letters, digits, _ and -",
        "一个小写字母，其后最多 30 个小写字母、数字、_ 和 -",
    ),
    "settings.apprise_url": Text(
        "a URL that apprise understands, such as {variable} with feishu://TOKEN; see docs/alerts.md",
        "apprise 能识别的 URL，例如值为 feishu://TOKEN 的 {variable}；见 docs/alerts.md",
    ),
    "settings.hook_url": Text(
        "an http or https URL with a host, or a path of the server that starts with /",
        "含主机的 http 或 https URL，或以 / 开头的服务器路径",
    ),
    "settings.hook_url_login": Text(
        "a URL without user name and password; put them into restart.http.headers, as Authorization",
        "不含用户名和密码的 URL；请将其放入 restart.http.headers 的 Authorization 中",
    ),
    "settings.hook_command": Text(
        "a list with the program and its arguments, without zero bytes", "由程序及其参数组成的列表，不含零字节"
    ),
    "settings.one_hook": Text("either command or http", "command 与 http 只能二选一"),
    "settings.trigger_hook": Text(
        "restart.command or restart.http as well, which say how to restart: a trigger needs one of them",
        "仅在设置了 restart.command 或 restart.http（说明如何重启）时才可使用触发条件",
    ),
    "settings.argument_without_secret": Text(
        "an argument without ${variable}: every process list shows arguments; read the variable in the command",
        "不含 ${variable} 的参数：本机所有用户都能列出进程参数；请在命令内部读取该环境变量",
    ),
    "settings.webhook_url": Text("an http or https URL with a host", "含主机的 http 或 https URL"),
    "settings.webhook_secret": Text(
        "at least {count} characters, preferably random", "至少 {count} 个字符，最好随机生成"
    ),
    "settings.distinct_channels": Text(
        "at least one channel, and each only once", "至少一个通道，且每个通道只出现一次"
    ),
    "settings.channel_kind": Text(
        'either "apprise" with at least one URL, or "webhook" with "secret"',
        '含至少一个 URL 的 "apprise"，或 "webhook" 与 "secret"',
    ),
    "settings.webhook_and_secret": Text('"webhook" and "secret" together', '"webhook" 与 "secret" 须一起设置'),
    "settings.distinct_rules": Text("each rule's name only once", "每个规则名只出现一次"),
    "settings.known_channels": Text("a key of alerts.channels: {names}", "alerts.channels 的键：{names}"),
    "settings.known_groups": Text("a group of servers: {names}", "服务器的分组：{names}"),
    "settings.distinct_windows": Text("a name that no other window has", "与其他维护时段不同的名称"),
    "settings.time_of_day": Text(
        "a time of day from 00:00 to 23:59, such as 02:30", "一天中的时间，00:00 到 23:59，例如 02:30"
    ),
    "settings.time_of_day_or_cron": Text(
        "a time of day from 00:00 to 23:59, such as 02:30, or `cron` instead",
        "一天中的时间，00:00 到 23:59，例如 02:30；或改用 cron",
    ),
    "settings.without_cron": Text("only without `cron`", "仅在没有 cron 时"),
    "settings.cron_fields": Text(
        "five fields (minute, hour, day of the month, month, day of the week), such as 30 2 * * sat",
        "五个字段（分钟、小时、日、月、星期），例如 30 2 * * sat",
    ),
    "settings.cron_minute": Text(
        "a first field (minute) of numbers from 0 to 59, such as 30, */15 or 0,30",
        "第一个字段（分钟）为 0 到 59 的数，例如 30、*/15 或 0,30",
    ),
    "settings.cron_hour": Text(
        "a second field (hour) of numbers from 0 to 23, such as 2, */6 or 8-18",
        "第二个字段（小时）为 0 到 23 的数，例如 2、*/6 或 8-18",
    ),
    "settings.cron_day": Text(
        "a third field (day of the month) of numbers from 1 to 31 that its months have, such as 1, 1-7 or L (the last)",
        "第三个字段（日）为 1 到 31 且当月存在的数，例如 1、1-7，或表示最后一天的 L",
    ),
    "settings.cron_month": Text(
        "a fourth field (month) of numbers from 1 to 12 or names, such as *, 1-3 or jan",
        "第四个字段（月）为 1 到 12 的数或英文缩写，例如 *、1-3 或 jan",
    ),
    "settings.cron_weekday": Text(
        "a fifth field (day of the week) of numbers from 0 (Sunday) to 7 or names, such as sat, mon-fri or sun#1",
        "第五个字段（星期）为 0（周日）到 7 的数或英文缩写，例如 sat、mon-fri 或 sun#1",
    ),
    "settings.cron_never": Text("an expression that some day matches", "至少有一天符合的表达式"),
    "settings.window_duration": Text(
        "a duration from 1s to 1w, such as 45m, 2h or 1d12h", "1s 到 1w 的时长，例如 45m、2h 或 1d12h"
    ),
    "settings.time_zone": Text(
        "a time zone such as Europe/Berlin, UTC or +08:00; names need the system's tzdata",
        "时区，例如 Asia/Shanghai、UTC 或 +08:00；名称需要系统的 tzdata",
    ),
    "settings.public_url": Text(
        "an http or https URL of the page, without user, query and fragment: https://comfywarm.example.com/path",
        "页面的 http 或 https 地址，不含用户名、查询和片段：https://comfywarm.example.com/path",
    ),
    "settings.none_defined": Text("none defined", "尚未定义"),
}

SETTINGS: dict[str, Text] = {**PROBLEMS, **FOUND, **TYPES, **VALUES, **SERVERS, **CLUSTER_AND_ALERTS}
