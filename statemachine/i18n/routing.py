"""What a request finds on the server that it is routed to, and why it went there."""

from statemachine.i18n.text import Text

ROUTING: dict[str, Text] = {
    "route.warm_idle": Text("has the models ready and nothing queued", "模型已就绪，队列为空"),
    "route.warm_busy": Text("has the models ready, and work is queued", "模型已就绪，队列中有任务"),
    "route.loads_idle": Text("must load models, and nothing is queued", "需要加载模型，队列为空"),
    "route.loads_busy": Text("must load models, and work is queued", "需要加载模型，队列中有任务"),
    "route.why.warm": Text("models ready, nothing queued", "模型已就绪，队列为空"),
    "route.why.warm_queued": Text("models ready; its queue is shorter than a load", "模型已就绪，排队比加载更快"),
    "route.why.loads": Text("loads models; no warm server would be sooner", "加载模型，没有更快的已就绪服务器"),
    "route.why.displaces": Text("loads models and pushes others out", "加载模型，并挤出其他模型"),
    "route.why.shortest_wait": Text("models not known; the shortest wait", "所需模型未知，按最短等待"),
    "route.why.only_ready": Text("the only server that was ready", "唯一可用的服务器"),
    "wanted.arrivals": Text("for the prompts that arrive", "按任务到达速率"),
    "wanted.waiting": Text("for the prompts that wait", "按正在等待的任务"),
    "wanted.workflows": Text("to keep every workflow warm", "使每个工作流保持预热"),
    "wanted.recent": Text("more were needed within the last 10 minutes", "最近 10 分钟内曾需要更多"),
    "wanted.observing": Text("unknown: observed for less than 5 minutes", "未知：观察不足 5 分钟"),
    "wanted.no_run_times": Text("unknown: fewer than 3 prompts have ended", "未知：结束的任务不足 3 个"),
    "wanted.queues_unseen": Text(
        "unknown: the queues of most loaded servers are not seen", "未知：看不到多数已加载服务器的队列"
    ),
    "route.why.passed_on": Text("a better server did not take it", "更合适的服务器未接收"),
}
