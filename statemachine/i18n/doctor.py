"""The findings of `doctor`, each with its advice."""

from statemachine.i18n.text import Text

DOCTOR: dict[str, Text] = {
    "doctor.text_check": Text(
        "a text check may make a server start loading by itself; it is asked anyway, as the daemon does",
        "将调用文本类缓存检查接口：调用本身可能使服务器在后台自行加载；仍会调用，与服务运行时相同",
    ),
    "doctor.no_settings": Text("{path} not found; using the default settings", "没有设置文件 {path}：使用默认设置"),
    "doctor.no_answer": Text("{url} does not answer: {error}", "{url} 没有响应：{error}"),
    "doctor.no_answer.advice": Text(
        "check that ComfyUI runs there with --listen on this port and that no firewall blocks it",
        "请确认 ComfyUI 已在该端口以 --listen 启动，且没有防火墙阻挡",
    ),
    "doctor.no_name.advice": Text(
        "correct the host name in the URL, or the name server's entry for it",
        "请更正 URL 中的主机名，或域名服务器中的记录",
    ),
    "doctor.untrusted.advice": Text(
        'add the certificate of the authority, or the self-signed one, for example "tls": {"ca_file": "lab-ca.pem"}',
        '请在设置中提供签发机构的证书或该自签名证书，例如 "tls": {"ca_file": "lab-ca.pem"}',
    ),
    "doctor.https": Text("{url} speaks only https", "{url} 只接受 https"),
    "doctor.https.advice": Text("use https:// in the URL", "请在 URL 中使用 https://"),
    "doctor.denied": Text("{url} requires credentials: {error}", "{url} 需要身份验证：{error}"),
    "doctor.denied.advice": Text(
        'add them to the settings, for example "headers": {"Authorization": "Bearer {variable}"}',
        '请在设置中提供凭据，例如 "headers": {"Authorization": "Bearer {variable}"}',
    ),
    "doctor.rate_limited": Text("{url} accepts no more requests now: {error}", "{url} 暂不接受更多请求：{error}"),
    "doctor.rate_limited.advice": Text(
        "run the doctor again later, or allow more requests at the proxy or gateway before the server",
        "请稍后再次运行 doctor，或在服务器前的代理或网关上放宽请求频率限制",
    ),
    "doctor.not_comfyui": Text("{url} answers, but is not ComfyUI: {error}", "{url} 有响应，但不是 ComfyUI：{error}"),
    "doctor.not_comfyui.advice": Text(
        "correct the URL; another program listens on this port, or a proxy changes the path",
        "请更正 URL；该端口上是其他程序，或代理改变了路径",
    ),
    "doctor.comfyui": Text("{url} is a ComfyUI server", "{url} 响应正常，是 ComfyUI"),
    "doctor.no_version": Text("cannot read its version: {error}", "服务器没有说明版本：{error}"),
    "doctor.no_version.advice": Text("update ComfyUI if it is old", "如果 ComfyUI 版本较旧，请更新"),
    "doctor.version": Text("version {version} on {devices}", "版本 {version}，设备 {devices}"),
    "doctor.device_memory": Text("{name} ({free} of {total} GiB free)", "{name}（可用 {free} GiB，共 {total} GiB）"),
    "doctor.no_device": Text("no device", "无"),
    "doctor.check_unanswered": Text("cache check {kind}: {error}", "缓存检查 {kind}：{error}"),
    "doctor.try_again": Text("try again; the server may be overloaded", "请重试；服务器可能过载"),
    "doctor.check_complete": Text(
        "cache check {kind}: everything is cached; raw answer: {raw}", "缓存检查 {kind}：全部已缓存；原文：{raw}"
    ),
    "doctor.check_complete_but": Text(
        "cache check {kind}: everything is cached; {caveat}; raw answer: {raw}",
        "缓存检查 {kind}：全部已缓存；{caveat}；原文：{raw}",
    ),
    "doctor.check_complete_but.advice": Text(
        "start ComfyUI with --cache-lru and a number of at least the workflows' nodes, or add cache nodes to them",
        "请以 --cache-lru 启动 ComfyUI，数值不小于这些工作流的节点总数，或为工作流添加缓存节点",
    ),
    "doctor.cache_disabled": Text("cache check {kind}: {error}", "缓存检查 {kind}：{error}"),
    "doctor.cache_disabled.advice": Text(
        "nothing is submitted for these workflows until this has changed",
        "在此情况改变之前，不会为这些工作流提交任务",
    ),
    "doctor.cache_too_small.advice": Text(
        "each of these workflows runs once after a restart or other work; only the last one stays loaded",
        "服务器重启或执行其他任务后，这些工作流各运行一次；只有最后一个保持已加载",
    ),
    "doctor.check_loading": Text(
        "cache check {kind}: missing {missing}, the server is loading by itself; raw answer: {raw}",
        "缓存检查 {kind}：缺少 {missing}，服务器正在后台自行加载；原文：{raw}",
    ),
    "doctor.check_loading.advice": Text("comfywarm waits until it has finished", "comfywarm 会等待其完成"),
    "doctor.check_displaced": Text(
        "cache check {kind}: missing {missing}; {caveat}; raw answer: {raw}",
        "缓存检查 {kind}：缺少 {missing}；{caveat}；原文：{raw}",
    ),
    "doctor.check_missing": Text(
        "cache check {kind}: missing {missing}; raw answer: {raw}", "缓存检查 {kind}：缺少 {missing}；原文：{raw}"
    ),
    "doctor.check_below": Text(
        "cache check {kind}: the models of {keys} are below the level that the settings want; raw answer: {raw}",
        "缓存检查 {kind}：{keys} 的模型低于设置要求的级别；原文：{raw}",
    ),
    "doctor.node_release": Text(
        "the companion node has release {found}, as comfywarm", "伴随节点版本为 {found}，与 comfywarm 一致"
    ),
    "doctor.no_release": Text("an older release without a number", "未标明版本号的旧版本"),
    "doctor.node_differs": Text(
        "the companion node has another release than comfywarm: {found} instead of {own}",
        "伴随节点与 comfywarm 的版本不一致：{found}，应为 {own}",
    ),
    "doctor.node_differs.advice": Text(
        "install its present release with `comfywarm node install DIR` and restart ComfyUI; until then it works",
        "请用 `comfywarm node install DIR` 安装与此版本一致的节点并重启 ComfyUI；在此之前它仍照常工作",
    ),
    "doctor.levels": Text("where the models are: {levels}", "模型所在级别：{levels}"),
    "doctor.no_levels": Text(
        "where the models are: no present key has a model that ComfyUI counts",
        "模型所在级别：现有的缓存键中没有由 ComfyUI 统计的模型",
    ),
    "doctor.level_not_observed": Text(
        "where the models are: level not observed, because the cache check {kind} reports only keys",
        "模型所在级别：无法观测，因为缓存检查 {kind} 只报告缓存键",
    ),
    "doctor.wanted_not_observed": Text(
        "the settings want models in memory; {caveat}", "设置要求模型驻留内存；{caveat}"
    ),
    "doctor.wanted_not_observed.advice": Text(
        "levels need comfywarm's current companion node, and models that ComfyUI itself manages (docs/node.md)",
        "级别需要当前版本的 comfywarm 伴随节点，以及由 ComfyUI 自身管理的模型（docs/node.md）",
    ),
    "doctor.check_unusable": Text("cache check {kind} cannot be used: {error}", "缓存检查 {kind} 无法使用：{error}"),
    "doctor.check_unusable.advice": Text(
        "correct cache_check.path, or set cache_check.kind to auto, node, text, inspire or history",
        "请更正 cache_check.path，或将 cache_check.kind 设为 auto、node、text、inspire 或 history",
    ),
    "doctor.check_absent": Text(
        "the server has no cache check {kind} (path {path})", "服务器没有缓存检查 {kind}（路径 {path}）"
    ),
    "doctor.check_absent.advice": Text(
        'install the plug-in that provides it, correct cache_check.path, or set cache_check.kind to "auto"',
        '请安装提供该接口的插件，更正 cache_check.path，或将 cache_check.kind 设为 "auto"',
    ),
    "doctor.text_absent": Text("the server has no text cache check at {path}", "{path} 没有文本类缓存检查接口"),
    "doctor.text_absent.advice": Text(
        "if a plug-in provides it elsewhere, set cache_check.path; otherwise the next kind is used",
        "如果插件在其他路径提供，请设置 cache_check.path；否则使用下一种检查",
    ),
    "doctor.kind_absent": Text("the server has no cache check {kind}", "服务器没有缓存检查 {kind}"),
    "doctor.kind_absent.advice": Text("the next kind is used", "会使用下一种检查"),
    "doctor.ws_silent": Text(
        "/ws opens but sends nothing within {seconds} s", "/ws 已连接，但 {seconds} 秒内没有任何消息"
    ),
    "doctor.ws_failed": Text("/ws does not work: {error}", "/ws 不可用：{error}"),
    "doctor.ws.advice": Text(
        "a proxy in between must forward WebSockets at /ws (Upgrade and Connection headers)",
        "中间的代理必须转发 /ws 的 WebSocket（Upgrade 和 Connection 头）",
    ),
    "doctor.ws": Text("/ws works", "/ws 正常"),
    "doctor.workflow_file": Text("workflow file {error}", "工作流文件 {error}"),
    "doctor.keyless": Text(
        "workflow {name} is in API format but has no cache nodes: only the history can confirm it",
        "工作流 {name} 为 API 格式，但没有缓存节点：只能由历史记录证明",
    ),
    "doctor.workflow": Text(
        "workflow {name} is in API format: {nodes} nodes; it caches {keys}",
        "工作流 {name} 为 API 格式：{nodes} 个节点；缓存 {keys}",
    ),
    "doctor.nodes_unreadable": Text("cannot read the server's nodes: {error}", "无法读取节点信息：{error}"),
    "doctor.unfit": Text("workflow {name}: {problem}", "工作流 {name}：{problem}"),
    "doctor.unfit.advice": Text(
        "install the plug-in or the file on the server, or correct the workflow",
        "请在服务器上安装插件或文件，或更正工作流",
    ),
    "doctor.unexamined": Text("workflow {name}: {problem}", "工作流 {name}：{problem}"),
    "doctor.unexamined.advice": Text(
        "comfywarm submits the workflow anyway; the server validates it",
        "comfywarm 仍会提交该工作流，由服务器自行校验",
    ),
    "doctor.fit": Text(
        "workflow {name}: the server has its nodes and model files", "工作流 {name}：节点和模型文件齐全"
    ),
    "doctor.would_fail": Text("a warm-up would fail; fix the items marked ✗", "预热不会成功；请先处理标有 ✗ 的各项"),
    "doctor.queue_unreadable": Text("cannot read the queue: {error}", "无法读取队列：{error}"),
    "doctor.queue_unreadable.advice": Text(
        "nothing is submitted while the queue cannot be read", "读不到队列就不会提交"
    ),
    "doctor.queue_busy": Text(
        "a warm-up would be accepted, but {waiting} prompts are in the queue",
        "预热会被接受，但队列中有 {waiting} 个任务",
    ),
    "doctor.queue_busy.advice": Text(
        "comfywarm waits for them first; see timing.busy_wait_s", "comfywarm 会先等待，见 timing.busy_wait_s"
    ),
    "doctor.queue_incomplete": Text(
        "the queue lists {listed} of {length} prompts; a plug-in or a gateway may hold the others",
        "队列只列出 {length} 个任务中的 {listed} 个；其余任务可能由插件或网关保管",
    ),
    "doctor.queue_incomplete.advice": Text(
        "nothing is submitted until the queue lists every prompt or is empty", "队列列出全部任务或变为空闲之后才会提交"
    ),
    "doctor.would_succeed": Text(
        "a warm-up would be accepted, as far as can be checked without submitting", "在不提交的前提下判断，预热会被接受"
    ),
}
