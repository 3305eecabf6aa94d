"""The doctor's sentences in Chinese; the English ones stand where they are said, and are the keys here."""

WARNING = (
    "A text check is among those asked: asking it may make a server start loading by itself. "
    "It is asked all the same, as the daemon does."
)
NO_SETTINGS = "There is no settings file at {path}: the defaults are used."

ZH = {
    WARNING: "将调用文本类缓存检查接口：调用本身可能使服务器在后台自行加载。仍会调用，与服务运行时相同。",
    NO_SETTINGS: "没有设置文件 {path}：使用默认设置。",
    "{url} does not answer: {error}": "{url} 没有响应：{error}",
    "Is ComfyUI running there, with --listen, on this port, and does no firewall stand between?": (
        "请确认 ComfyUI 已在该端口以 --listen 启动，且没有防火墙阻挡。"
    ),
    "{url} wants credentials: {error}": "{url} 需要身份验证：{error}",
    'Give its credentials in the settings: "headers": {{"Authorization": "Bearer ${{NAME}}"}}.': (
        '请在设置中提供凭据："headers": {{"Authorization": "Bearer ${{NAME}}"}}。'
    ),
    "{url} answers, but not as a ComfyUI does: {error}": "{url} 有响应，但不是 ComfyUI：{error}",
    "Another program listens on this port, or a proxy changes the path: correct the URL.": (
        "该端口上是其他程序，或代理改变了路径：请更正 URL。"
    ),
    "{url} answers as a ComfyUI does": "{url} 响应正常，是 ComfyUI",
    "it does not say which version it is: {error}": "服务器没有说明版本：{error}",
    "Update ComfyUI if it is old.": "如果 ComfyUI 版本较旧，请更新。",
    "version {version} on {devices}": "版本 {version}，设备 {devices}",
    "cache check {kind}: {error}": "缓存检查 {kind}：{error}",
    "Try again; is the server overloaded?": "请重试；服务器是否过载？",
    "cache check {kind} answers: everything is cached; its text: {raw}": "缓存检查 {kind}：全部已缓存；原文：{raw}",
    "cache check {kind}: {missing} missing, the server loads by itself; its text: {raw}": (
        "缓存检查 {kind}：缺少 {missing}，服务器正在后台自行加载；原文：{raw}"
    ),
    "comfywarm waits until the server has done so.": "comfywarm 会等待其完成。",
    "cache check {kind} answers: {missing} missing; its text: {raw}": "缓存检查 {kind}：缺少 {missing}；原文：{raw}",
    "cache check {kind} cannot be used: {error}": "缓存检查 {kind} 无法使用：{error}",
    "Correct cache_check.path, or choose another cache_check.kind: auto, node, text, inspire or history.": (
        "请更正 cache_check.path，或选择其他 cache_check.kind：auto、node、text、inspire 或 history。"
    ),
    "cache check {kind} is not offered (path {path})": "服务器没有缓存检查 {kind}（路径 {path}）",
    'Install the plug-in that offers it, correct cache_check.path, or set cache_check.kind to "auto".': (
        '请安装提供该接口的插件，更正 cache_check.path，或将 cache_check.kind 设为 "auto"。'
    ),
    "cache check text is not offered at {path}": "{path} 没有文本类缓存检查接口",
    "If a plug-in offers it elsewhere, set cache_check.path; otherwise the next kind is used.": (
        "如果插件在其他路径提供，请设置 cache_check.path；否则使用下一种检查。"
    ),
    "cache check {kind} is not offered": "服务器没有缓存检查 {kind}",
    "The next kind is used.": "会使用下一种检查。",
    "/ws opens but says nothing within {timeout:g} s": "/ws 已连接，但 {timeout:g} 秒内没有任何消息",
    "/ws does not deliver: {error}": "/ws 不可用：{error}",
    "A proxy in between must pass WebSockets on (Upgrade and Connection headers) at /ws.": (
        "中间的代理必须转发 /ws 的 WebSocket（Upgrade 和 Connection 头）。"
    ),
    "/ws delivers": "/ws 正常",
    "workflow file {where}: {sentence}": "工作流文件 {where}：{sentence}",
    "workflow {name} is in API format, but has no cache nodes: only history can prove it": (
        "工作流 {name} 为 API 格式，但没有缓存节点：只能由历史记录证明"
    ),
    "workflow {name} is in API format: {nodes} nodes; it caches {keys}": (
        "工作流 {name} 为 API 格式：{nodes} 个节点；缓存 {keys}"
    ),
    "its nodes cannot be read: {error}": "无法读取节点信息：{error}",
    "Install the plug-in or the file there, or correct the workflow.": "请在服务器上安装插件或文件，或更正工作流。",
    "workflow {name}: {sentence}": "工作流 {name}：{sentence}",
    "workflow {name}: its nodes and model files are there": "工作流 {name}：节点和模型文件齐全",
    "a submission would not do: see each ✗ above": "提交不会成功：见上面的 ✗",
    "its queue cannot be read: {error}": "无法读取队列：{error}",
    "Without the queue nothing is ever submitted.": "读不到队列就不会提交。",
    "a submission would be accepted, but {waiting} prompts are in the queue": (
        "提交会被接受，但队列中有 {waiting} 个任务"
    ),
    "comfywarm waits for it first, see timing.busy_wait_s.": "comfywarm 会先等待，见 timing.busy_wait_s。",
    "a submission would be accepted, as far as can be told without submitting": "就不提交所能判断的，提交会被接受",
}
