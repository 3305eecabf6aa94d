"""What the discovery of servers reports, what its settings allow, and the page's labels for sources."""

from statemachine.i18n.text import Text

DISCOVERY: dict[str, Text] = {
    "servers_added": Text("added: {names}", "新增：{names}"),
    "servers_removed": Text("removed: {names}", "移除：{names}"),
    "source_fails": Text("source {source}: {why}", "来源 {source}：{why}"),
    "source_answers": Text("source {source} answers", "来源 {source} 已有应答"),
    "source_answers_others_fail": Text(
        "source {source} answers; without an answer: {others}", "来源 {source} 已有应答；仍无应答：{others}"
    ),
    "source_removed": Text("source {source} is no longer in the settings", "来源 {source} 已不在设置中"),
    "source_removed_others_fail": Text(
        "source {source} is no longer in the settings; without an answer: {others}",
        "来源 {source} 已不在设置中；仍无应答：{others}",
    ),
    "source_refuses": Text("source {source}: {why}", "来源 {source}：{why}"),
    "target_name_taken": Text(
        "{target} would have the name {name}, which another server has", "{target} 的名称 {name} 已被其他服务器使用"
    ),
    "source_beyond": Text(
        "{count} servers beyond the {max} that a fleet may have", "超出集群上限 {max} 台的服务器有 {count} 台"
    ),
    "targets_excess": Text(
        "servers beyond max_servers of {max}: {count}", "超出 max_servers（{max}）的服务器有 {count} 台"
    ),
    "source_held": Text("source {source}: {why}", "来源 {source}：{why}"),
    "targets_held": Text(
        "{vanished} of {known} servers are missing; at most {count} are removed within {seconds} s",
        "{known} 台中有 {vanished} 台缺失；{seconds} 秒内最多移除 {count} 台",
    ),
    "source_not_a_list": Text(
        'not a list of objects with "targets"',
        '不是带有 "targets" 的对象列表',
    ),
    "source_file": Text("{path}: {error}", "{path}：{error}"),
    "source_too_large": Text("the answer is larger than {bytes} bytes", "应答超过 {bytes} 字节"),
    "source_invalid_json": Text("invalid JSON: {error}", "无效的 JSON：{error}"),
    "source_invalid_yaml": Text("invalid YAML: {error}", "无效的 YAML：{error}"),
    "source_status": Text("HTTP status {status}; 200 is expected", "HTTP 状态 {status}，应为 200"),
    "source_forbidden": Text(
        "HTTP status 403; allow the service account to list and watch endpointslices (discovery.k8s.io) by a Role",
        "HTTP 状态 403；请用 Role 允许服务账号对 endpointslices（discovery.k8s.io）执行 list 和 watch",
    ),
    "source_no_answer": Text("no answer: {error}", "没有应答：{error}"),
    "source_dns": Text("{record} records of {host}: {error}", "{host} 的 {record} 记录：{error}"),
    "source_not_in_cluster": Text(
        "not in a pod of Kubernetes: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set",
        "不在 Kubernetes 的 Pod 中：未设置 KUBERNETES_SERVICE_HOST 和 KUBERNETES_SERVICE_PORT",
    ),
    "source_not_kubernetes": Text("not an answer of Kubernetes' API", "不是 Kubernetes API 的应答"),
    "slice_unknown": Text("not an EndpointSlice of discovery.k8s.io/v1", "不是 discovery.k8s.io/v1 的 EndpointSlice"),
    "slice_without_port": Text("has no port {port}", "没有端口 {port}"),
    "endpoint_without_address": Text("has no address", "没有地址"),
    "target_refused": Text("{where}: {why}", "{where}：{why}"),
    "target_at": Text("{where} {text}", "{where} {text}"),
    "target_group": Text('not an object with a list of "targets"', '不是带有 "targets" 列表的对象'),
    "target_not_text": Text("not a text such as host:port", "不是 主机:端口 形式的文本"),
    "target_scheme": Text("the label {label} is neither http nor https", "标签 {label} 既不是 http 也不是 https"),
    "target_weaker_scheme": Text(
        "http; the headers of the source are only sent over https there", "http；该来源的请求头在此只通过 https 发送"
    ),
    "target_labels": Text("not an object with at most {max} labels", "不是最多含 {max} 个标签的对象"),
    "target_label": Text("a label that is not a text of at most {max} characters", "标签不是最多 {max} 个字符的文本"),
    "target_label_value": Text(
        'label {label} is "{value}"; allowed: {allowed}', "标签 {label} 的值为“{value}”；允许：{allowed}"
    ),
    "too_many_targets": Text("more than {max} servers", "服务器超过 {max} 台"),
    "settings.distinct_sources": Text("a name that no other source has", "与其他来源不同的名称"),
    "settings.one_register_source": Text("one source of the kind register", "仅一个 register 类型的来源"),
    "settings.source_url": Text(
        "an http or https URL without user and fragment: https://inventory.example.com/sd",
        "http 或 https 地址，不含用户名和片段：https://inventory.example.com/sd",
    ),
    "settings.label_name": Text(
        "a label: letters, digits and _, at most 100, not beginning with a digit",
        "标签名：字母、数字和 _，最多 100 个字符，不以数字开头",
    ),
    "settings.network": Text(
        "a network such as 10.0.0.0/8, a host name, or a domain such as .example.com",
        "网络（如 10.0.0.0/8）、主机名，或域（如 .example.com）",
    ),
    "settings.nameserver": Text(
        "IP address and port of a DNS server: 127.0.0.1:53", "DNS 服务器的 IP 地址和端口，例如 127.0.0.1:53"
    ),
    "settings.kubernetes_name": Text(
        "a name in Kubernetes, of lower-case letters, digits, hyphens and dots",
        "Kubernetes 名称，由小写字母、数字、连字符和点组成",
    ),
    "settings.kubernetes_port": Text(
        'the name or the number of a port, as text: "http" or "8188"', '端口的名称或编号，以文本表示："http" 或 "8188"'
    ),
}

SOURCE_LABELS: dict[str, Text] = {
    "sources": Text("Sources of servers", "服务器来源"),
    "sources_well": Text("{count} answering", "{count} 个正常"),
    "sources_troubled": Text("{troubled} of {count} with trouble", "{count} 个中有 {troubled} 个异常"),
    "source_servers": Text("servers: {count}", "服务器 {count} 台"),
    "source_missing": Text("missing: {count}", "缺失 {count} 台"),
    "source_failures": Text("failures in a row: {count}", "连续失败 {count} 次"),
    "source_answered": Text("answered", "应答于"),
    "source_not_answered": Text("no answer since the start", "启动以来没有应答"),
    "source": Text("Source", "来源"),
    "labels": Text("Labels", "标签"),
}
