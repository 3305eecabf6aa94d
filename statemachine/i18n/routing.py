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
    "route.why.passed_on": Text("a better server did not take it", "更合适的服务器未接收"),
}
