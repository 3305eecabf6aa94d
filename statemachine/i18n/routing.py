"""What a request finds on the server that it is routed to."""

from statemachine.i18n.text import Text

ROUTING: dict[str, Text] = {
    "route.warm_idle": Text("has the models ready and nothing queued", "模型已就绪，队列为空"),
    "route.warm_busy": Text("has the models ready, and work is queued", "模型已就绪，队列中有任务"),
    "route.loads_idle": Text("must load models, and nothing is queued", "需要加载模型，队列为空"),
    "route.loads_busy": Text("must load models, and work is queued", "需要加载模型，队列中有任务"),
}
