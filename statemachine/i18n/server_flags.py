"""What the arguments of a ComfyUI server mean, as `doctor` explains them."""

from statemachine.i18n.text import Text

SERVER_FLAGS: dict[str, Text] = {
    "flag.cache_none": Text(
        "{flag}: nothing is kept between prompts, so a workflow without cache nodes loads its models each time",
        "{flag}：服务器不在任务之间保留任何结果，没有缓存节点的工作流每次都会重新加载模型",
    ),
    "flag.cache_none.advice": Text(
        "remove it, or use only workflows with cache nodes: their plug-in holds the models itself",
        "请去掉该参数，或只使用带缓存节点的工作流：其插件自行持有模型",
    ),
    "flag.cache_lru": Text(
        "{flag} {value}: the server keeps the newest {value} results; older models are dropped",
        "{flag} {value}：服务器只保留最新的 {value} 个结果，较早的模型会被丢弃",
    ),
    "flag.cache_lru.advice": Text(
        "workflows without cache nodes stay warm if they have at most {value} nodes together",
        "没有缓存节点的工作流，节点总数不超过 {value} 才能同时保持已加载",
    ),
    "flag.cache_ram": Text(
        "{flag} {value}: while less memory (in GB) is free, results are dropped, models included",
        "{flag} {value}：可用内存（GB）低于该值时会丢弃结果，包括模型",
    ),
    "flag.cache_ram.advice": Text(
        "a value above the free memory drops results all the time; for models that must stay use cache nodes",
        "大于机器内存的值会不断丢弃结果；需要常驻的模型请使用缓存节点",
    ),
    "flag.cache_classic": Text(
        "{flag}: the server keeps what its last prompt used", "{flag}：服务器保留最近一个任务所用的结果"
    ),
    "flag.disable_smart_memory": Text(
        "{flag}: models leave the VRAM after each prompt, so a cached key does not mean that its model is in VRAM",
        "{flag}：每个任务之后模型都会从显存移到内存，因此键已缓存并不表示模型在显存中",
    ),
    "flag.disable_smart_memory.advice": Text(
        "remove it if the next job must start without moving models to the GPU",
        "如果下一个任务开始时不应再搬运模型到显卡，请去掉该参数",
    ),
    "flag.highvram": Text(
        "{flag}: models stay in VRAM after use, and DynamicVRAM is off",
        "{flag}：模型用后留在显存中，且不使用 DynamicVRAM",
    ),
    "flag.novram": Text(
        "{flag}: models stay in RAM, and DynamicVRAM is off; each job moves the weights again",
        "{flag}：模型留在内存中，且不使用 DynamicVRAM；每个任务都要重新搬运权重",
    ),
    "flag.novram.advice": Text(
        "a loaded server has its models in RAM, never in VRAM", "“已加载”的服务器，其模型在内存中，而不在显存中"
    ),
    "flag.cpu": Text(
        "{flag}: models are in RAM and run on the CPU; DynamicVRAM is off",
        "{flag}：模型在内存中并由 CPU 运行；不使用 DynamicVRAM",
    ),
    "flag.disable_dynamic_vram": Text(
        "{flag}: ComfyUI loads models as a whole, as far as its estimate of the VRAM allows",
        "{flag}：ComfyUI 按显存估算整体加载模型",
    ),
    "flag.multi_user": Text(
        "{flag}: files and settings are kept per user; queue, history and cache are common; comfywarm needs no user",
        "{flag}：文件和设置按用户保存；队列、历史和缓存由所有用户共用，comfywarm 不需要用户",
    ),
    "flag.tls": Text(
        "{flag}: the server speaks only https; for a private or self-signed certificate set tls.ca_file",
        "{flag}：服务器只接受 https；私有或自签名证书请设置 tls.ca_file",
    ),
    "flag.disabled_nodes": Text(
        "{flag} {value}: the file disables node classes on this server",
        "{flag} {value}：该文件在此服务器上停用部分节点类",
    ),
    "flag.disabled_nodes.advice": Text(
        "if a workflow lacks a node class although its plug-in is installed, look into that file",
        "如果插件已安装但工作流仍缺少节点类，请检查该文件",
    ),
    "flag.disable_all_custom_nodes": Text(
        "{flag}: plug-ins are not loaded, so the server has no cache nodes and no cache check of a plug-in",
        "{flag}：不加载任何插件，因此服务器没有缓存节点，也没有插件提供的缓存检查",
    ),
    "flag.disable_all_custom_nodes.advice": Text(
        "allow the plug-in with --whitelist-custom-nodes, or rely on the check by history",
        "请用 --whitelist-custom-nodes 允许该插件，或使用历史记录检查",
    ),
    "flag.offline": Text(
        "{flag}: nodes that call paid services are not loaded; workflows with them are refused",
        "{flag}：不加载调用付费服务的节点；含有这类节点的工作流会被拒绝",
    ),
    "flag.listen": Text(
        "{flag} {value}: every machine that reaches this address can submit prompts; ComfyUI checks no credentials",
        "{flag} {value}：任何能访问该地址的机器都可以提交任务；ComfyUI 不验证身份",
    ),
    "flag.listen.advice": Text(
        "allow only comfywarm and the gateway to connect, with a firewall or a proxy that checks credentials",
        "请用防火墙或验证身份的代理，只允许 comfywarm 和网关连接",
    ),
    "flag.cors": Text(
        "{flag} {value}: pages of other sites may use this server through a visitor's browser",
        "{flag} {value}：其他网站的页面可以通过访问者的浏览器使用这台服务器",
    ),
    "flag.cors.advice": Text(
        "comfywarm does not need it; remove it, or name the one site that does",
        "comfywarm 不需要该参数；请去掉，或只填写需要它的网站",
    ),
}
