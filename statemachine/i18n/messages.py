"""The messages about servers: transitions, warm-ups, and why a request brought nothing."""

from statemachine.i18n.text import Text

GENERAL: dict[str, Text] = {
    "verbatim": Text("{text}", "{text}"),
    "detailed": Text("{summary}: {details}", "{summary}：{details}"),
    "joined": Text("{first}; {rest}", "{first}；{rest}"),
    "more_items": Text("and {count} more", "以及另外 {count} 项"),
    "and_more": Text("{last}; and {count} more", "{last}；以及另外 {count} 项"),
    "duration_form": Text(
        '"{found}" is not a duration; write one such as 45m, 2h, 1d12h or 1w',
        "“{found}”不是时长；请写成 45m、2h、1d12h 或 1w",
    ),
    "duration_range": Text(
        '"{found}" is too short or too long; allowed: 1s to 366d', "“{found}”过短或过长；允许范围：1s 到 366d"
    ),
    "requested_by": Text("{what} (by {by})", "{what}（操作者：{by}）"),
    "notice_detail": Text("{notice}: {detail}", "{notice}：{detail}"),
    "internal_error": Text("internal error ({error}); see the log", "内部错误（{error}）；详见程序日志"),
}

TRANSITIONS: dict[str, Text] = {
    "check_complete": Text("{kind} check: everything is cached", "{kind} 检查：所需内容已全部缓存"),
    "check_below": Text("{kind} check: everything is cached, but {models}", "{kind} 检查：缓存键齐全，但{models}"),
    "model_below": Text(
        'the models of {key} are at level "{level}", below "{wanted}"', "{key} 的模型处于级别“{level}”，低于“{wanted}”"
    ),
    "level_not_observed": Text(
        "level not observed for {names}: only the keys decide; install comfywarm's companion node",
        "无法观测 {names} 的级别：只按缓存键判断；请安装 comfywarm 的伴随节点",
    ),
    "level_not_counted": Text(
        "level not observed for {names}: ComfyUI counts no model there; only the keys decide",
        "无法观测 {names} 的级别：ComfyUI 未统计其中的模型；只按缓存键判断",
    ),
    "check_missing": Text("{kind} check: missing {missing}", "{kind} 检查：缺少 {missing}"),
    "check_complete_but": Text("{kind} check: everything is cached; {caveat}", "{kind} 检查：全部已缓存；{caveat}"),
    "keeps_nothing": Text(
        "the server keeps nothing between prompts (--cache-none, or --cache-ram with more than its memory), "
        "so {workflows} cannot stay loaded; start ComfyUI without it, or give the workflow cache nodes",
        "服务器在任务之间不保留任何结果（--cache-none，或 --cache-ram 的值大于其内存），"
        "因此 {workflows} 无法保持已加载；请去掉该参数启动 ComfyUI，或为工作流添加缓存节点",
    ),
    "keeps_last_only": Text(
        "but this server's cache ({kind}) keeps what its last workflow used, so {workflows} may load again",
        "但该服务器的缓存（{kind}）只保留最后一个工作流用到的内容，因此 {workflows} 可能会重新加载",
    ),
    "dropped_older": Text(
        "this server's cache ({kind}) keeps what its last workflow used and has dropped {workflows}; start ComfyUI "
        "with --cache-lru and a number of at least the workflows' nodes, or add cache nodes",
        "该服务器的缓存（{kind}）只保留最后一个工作流用到的内容，已丢弃 {workflows}；请以 --cache-lru 启动 ComfyUI，"
        "数值不小于这些工作流的节点总数，或添加缓存节点",
    ),
    "memory_short": Text(
        "less than {limit} GiB of the server's memory are free, so it drops all results, and {workflows} cannot stay "
        "loaded; free memory, start ComfyUI with a smaller --cache-ram or with --cache-lru, or add cache nodes",
        "服务器可用内存不足 {limit} GiB，因此会丢弃所有结果，{workflows} 无法保持已加载；请释放内存，或以更小的 "
        "--cache-ram 或以 --cache-lru 启动 ComfyUI，或添加缓存节点",
    ),
    "displace_one_another": Text(
        "this server's cache ({kind}) does not hold {workflows} together, so they displace one another; start ComfyUI "
        "with --cache-lru {count} or more, add cache nodes, or give each workflow a server of its own",
        "该服务器的缓存（{kind}）无法同时保留 {workflows}，它们会互相挤出；请以 --cache-lru {count} 或更大的值启动 "
        "ComfyUI，或添加缓存节点，或让它们各用一台服务器",
    ),
    "check_failed": Text("cache check: {error}", "缓存检查：{error}"),
    "server_loading": Text(
        "missing {missing}; the server is loading it by itself, so nothing is submitted",
        "缺少 {missing}；服务器正在后台自行加载，无需手动提交",
    ),
    "still_loading": Text(
        "the server is still loading what was missing; it is not checked meanwhile",
        "服务器仍在加载缺少的内容；在此期间不再检查",
    ),
    "foreign_prompt_loading": Text(
        "prompt {prompt_id} of another client is already loading what is missing, so nothing is submitted",
        "其他客户端的任务 {prompt_id} 已在加载缺少的内容；无需提交",
    ),
    "own_prompt_back": Text(
        "our earlier prompt {prompt_id} is in the server's queue again, so nothing is submitted",
        "我们先前的任务 {prompt_id} 又回到了服务器的队列中；不再提交",
    ),
    "nodes_not_run": Text(
        "the prompt succeeded without running its cache nodes; {missing} is still missing; "
        "retrying once with a varied tag",
        "任务成功但缓存节点并未运行，仍缺少 {missing}；将更换一次 tag 再试",
    ),
    "nodes_not_run_again": Text(
        "the prompt succeeded without running its cache nodes; {missing} is still missing, even with a varied tag",
        "任务成功但缓存节点并未运行，更换 tag 后仍缺少 {missing}",
    ),
    "still_missing": Text(
        "the prompt succeeded, but the {kind} check still misses {missing}",
        "任务已运行成功，但 {kind} 检查仍缺少 {missing}",
    ),
    "still_below": Text(
        "the prompt succeeded, but in the {kind} check {models}; the server's memory is probably too small for all "
        "models that are wanted there",
        "任务已运行成功，但 {kind} 检查显示{models}；服务器的内存可能不足以容纳要求驻留的全部模型",
    ),
    "unloaded_again": Text(
        "the models of {missing} were moved out of memory {count} times in a row, soon after they were loaded; "
        "warm-ups become less frequent",
        "{missing} 的模型加载后不久就被移出内存，已连续 {count} 次；预热频率将逐步降低",
    ),
    "evicted_again": Text(
        "missing {missing}: evicted {count} times in a row, soon after it was loaded; warm-ups become less frequent",
        "缺少 {missing}：加载后不久就被其他任务挤出，已连续 {count} 次；预热频率将逐步降低",
    ),
    "ended_again": Text(
        "missing {missing}: lost {count} times in a row, soon after it was loaded, the last time with the connection;"
        " the server's process probably ends; warm-ups become less frequent",
        "缺少 {missing}：加载后不久就丢失，已连续 {count} 次，最近一次伴随连接中断，"
        "很可能是服务器进程终止；预热频率将逐步降低",
    ),
    "own_loading_postponed": Text(
        "the models that the server loads by itself were evicted {count} times in a row, soon after they were loaded;"
        " the next check, which starts its loading, waits",
        "服务器自行加载的模型已连续 {count} 次在加载后不久被挤出；下一次检查会触发加载，因此推迟",
    ),
    "gave_up": Text(
        "{count} warm-ups in a row failed in the same way: {failure}; one more is tried after the long pause",
        "连续 {count} 次预热以同样的方式失败：{failure}；较长时间后再试一次",
    ),
    "own_loading_ends_server": Text(
        "the server's process ended each of the last {count} times that it loaded by itself, probably because it ran "
        "out of memory; a check would make it load again, so none is sent before the long pause is over",
        "最近 {count} 次服务器自行加载期间进程都终止了，很可能是内存不足；检查会使服务器再次加载，"
        "因此在较长的等待结束前不再检查",
    ),
    "warm_ups_end_server": Text(
        "the server's process ended during each of the last {count} warm-ups, probably because it ran out of memory; "
        "use smaller models or give the server more memory",
        "最近 {count} 次预热期间服务器进程都终止了，很可能是内存不足；请改用较小的模型，或为服务器增加内存",
    ),
    "no_answers": Text("no answer {count} times in a row: {cause}", "连续 {count} 次没有应答：{cause}"),
    "reported_missing": Text(
        "the server reports that {missing} is no longer cached", "服务器通知：{missing} 已不在缓存中"
    ),
    "reported_below": Text(
        "the models of {keys} are below the level that the settings want", "{keys} 的模型低于设置要求的级别"
    ),
    "reported_complete": Text("the server reports that everything is cached", "服务器通知：所需内容现已全部缓存"),
    "paused_until": Text("{what} until {until}", "{what}，直到 {until}"),
    "paused_note": Text("{what}: {note}", "{what}：{note}"),
    "notice_of_server": Text("{server}: {what}", "{server}：{what}"),
    "paused_before_start": Text("paused before the daemon started", "在守护进程启动之前已停用"),
    "queue_unreadable": Text("cannot read the queue: {error}", "无法读取队列：{error}"),
    "own_loading_stuck": Text(
        "the server is loading by itself, but its queue has not moved for {seconds} s: it is paused, or a node hangs",
        "服务器正在后台自行加载，但队列已 {seconds} 秒没有变化：队列可能已暂停，或节点没有响应",
    ),
}

WARM_UPS: dict[str, Text] = {
    "submitting": Text("submitting workflow {workflow}", "正在提交工作流 {workflow}"),
    "submitting_varied": Text(
        "submitting workflow {workflow} with a varied tag", "正在提交工作流 {workflow}（已更换 tag）"
    ),
    "workflow_accepted": Text("the server accepted workflow {workflow}", "服务器已收到我们的工作流 {workflow}"),
    "before_submitting": Text("before submitting: {error}", "提交之前：{error}"),
    "request_unanswered": Text("GET {path}: {error}", "GET {path}：{error}"),
    "nothing_submitted": Text("nothing was submitted: {cause}", "没有提交：{cause}"),
    "other_daemon_may_own": Text(
        "nothing was submitted: another daemon may own this server by now",
        "没有提交：这台服务器可能已由其他守护进程接管",
    ),
    "workflow_unfit": Text("workflow {workflow}: {problems}", "工作流 {workflow}：{problems}"),
    "node_class_missing": Text(
        "node class {name} not found on the server; install its plug-in",
        "服务器没有节点类 {name}；请安装相应插件",
    ),
    "model_missing": Text(
        "node {node} ({class_type}, input {input}): the server lacks {wanted}; other files it has there: {available}",
        "节点 {node}（{class_type}，输入 {input}）：服务器没有 {wanted}；该处现有的其他文件：{available} 个",
    ),
    "class_unexamined": Text("could not examine {name}: {cause}", "无法检查 {name}：{cause}"),
    "classes_too_large": Text(
        "the descriptions of the workflow's node classes are too large together", "该工作流各节点类的描述总量过大"
    ),
    "class_not_described": Text("not a description of the node class", "不是节点类的描述"),
    "model_elsewhere": Text("{missing}; it has {found}", "{missing}；但有 {found}"),
    "post_failed": Text("POST /prompt: {error}", "POST /prompt：{error}"),
    "post_redirected": Text(
        "POST /prompt is redirected to {location}; use that address in the settings",
        "POST /prompt 被重定向到 {location}；请在设置中使用该地址",
    ),
    "workflow_too_large": Text(
        "the workflow is too large for the server (HTTP 413)", "工作流对服务器来说过大（HTTP 413）"
    ),
    "no_prompt_id": Text(
        "POST /prompt: HTTP {status} without a prompt_id: {raw}", "POST /prompt：HTTP {status}，但没有 prompt_id：{raw}"
    ),
    "partly_refused": Text(
        "the server dropped a part of the workflow and runs the rest: {errors}",
        "服务器丢弃了工作流的一部分，其余仍会运行：{errors}",
    ),
    "workflow_refused": Text("the server refused the workflow: {errors}", "服务器拒绝了工作流：{errors}"),
    "node_error": Text("node {node} ({class_type}): {errors}", "节点 {node}（{class_type}）：{errors}"),
    "node_raised": Text(
        "node {node} ({class_type}) raised {exception}: {text}", "节点 {node}（{class_type}）抛出 {exception}：{text}"
    ),
    "node_blocked": Text(
        "node {node} ({class_type}) was skipped, because it was blocked: {text}",
        "节点 {node}（{class_type}）被阻止执行并跳过：{text}",
    ),
    "prompt_absent": Text(
        "our prompt is neither queued, nor running, nor in the history",
        "我们的任务既不在队列中，也不在运行，也不在历史里",
    ),
    "prompt_absent_elsewhere": Text(
        "our prompt is neither queued, nor running, nor in the history, although the server accepted it and did not "
        "visibly restart: it was deleted, or several servers answer at this address",
        "服务器接受了我们的任务且未见重启，但任务既不在队列中，也不在运行，也不在历史里：可能已被删除，或该地址后面有多台服务器",
    ),
    "answers_contradict": Text(
        "the server had our prompt, then did not, then had it again: several servers seem to answer at this address",
        "我们的任务时有时无：该地址后面似乎有多台服务器",
    ),
    "away_without_prompt": Text(
        "the server was away and came back without our prompt", "服务器曾经离线，恢复后已没有我们的任务"
    ),
    "fate_unknown": Text("cannot find out what became of our prompt: {cause}", "无法查明我们任务的下落：{cause}"),
    "no_progress": Text(
        "no progress of our prompt for {seconds} s: {cause}", "我们的任务已 {seconds} 秒没有进展：{cause}"
    ),
    "never_ends": Text(
        "our prompt has not ended within {seconds} s, despite the progress that it reports",
        "无论我们的任务报告了什么进展，它在 {seconds} 秒内都没有结束",
    ),
    "stuck_unreadable": Text("its place in the queue is not known ({cause})", "它在队列中的位置不明（{cause}）"),
    "stuck_running": Text("it is running, and its node hangs", "任务正在运行，但节点没有响应"),
    "stuck_behind": Text(
        "it waits behind another client's prompt that does not end", "排在其他客户端一直不结束的任务之后"
    ),
    "stuck_idle": Text(
        "it is queued but nothing runs: the queue is paused, so resume it, or the server's worker has died, so restart "
        "ComfyUI",
        "任务在排队，但没有任务在运行：队列可能已暂停（请恢复队列），或服务器的工作线程已停止（请重启 ComfyUI）",
    ),
    "end_not_sent": Text(
        "our prompt ended in the history, but /ws did not report it", "历史中我们的任务已结束，但 /ws 没有通知"
    ),
}

REQUESTS: dict[str, Text] = {
    "no_answer_in": Text("no answer within {seconds} s", "{seconds} 秒内没有应答"),
    "proxy_status": Text("a proxy answers HTTP {status}", "代理返回 HTTP {status}"),
    "no_comfyui": Text(
        "GET /prompt answers HTTP {status}, so ComfyUI is not there now",
        "GET /prompt 返回 HTTP {status}，说明那里目前没有 ComfyUI",
    ),
    "rate_limited": Text("rate limited (HTTP {status})", "请求过于频繁（HTTP {status}）"),
    "rate_limited_for": Text(
        "rate limited (HTTP {status}, retry after {seconds} s)", "请求过于频繁（HTTP {status}，{seconds} 秒后重试）"
    ),
    "rate_limited_longer": Text(
        "rate limited (HTTP {status}, retry after {seconds} s; the next request is sent after {longest} s)",
        "请求过于频繁（HTTP {status}，要求 {seconds} 秒后重试；{longest} 秒后发送下一个请求）",
    ),
    "limit_lasts": Text(
        "rate limited: no request is sent for another {seconds} s", "请求过于频繁：{seconds} 秒内不再发送请求"
    ),
    "access_denied": Text("access denied (HTTP {status})", "访问被拒绝（HTTP {status}）"),
    "access_needs_scheme": Text(
        "access denied (HTTP {status}), the server asks for {schemes}",
        "访问被拒绝（HTTP {status}），服务器要求 {schemes} 认证",
    ),
    "access_redirected": Text(
        "access denied (HTTP {status}), redirect to {location}", "访问被拒绝（HTTP {status}），重定向到 {location}"
    ),
    "no_route": Text("no such route (HTTP 404)", "没有该接口（HTTP 404）"),
    "quoted": Text("{what}: {raw}", "{what}：{raw}"),
    "answer_status": Text("{what} (HTTP {status})", "{what}（HTTP {status}）"),
    "answer_raw": Text("{what} (HTTP {status}: {raw})", "{what}（HTTP {status}：{raw}）"),
    "unexpected_answer": Text("unexpected answer", "意外的应答"),
    "unexpected_redirect": Text("unexpected redirect to {location}", "意外重定向到 {location}"),
    "empty_body": Text("empty body", "应答为空"),
    "not_json": Text("not JSON ({error})", "不是 JSON（{error}）"),
    "not_json_object": Text("not a JSON object", "不是 JSON 对象"),
    "wrong_encoding": Text("the answer is not in the encoding that it names", "应答的编码与其声明不符"),
    "answer_too_large": Text(
        "the answer to {route} is larger than {limit} ({size} or more), so it was not read and is not understood",
        "{route} 的应答超过 {limit}（至少 {size}），未读完，无法识别",
    ),
    "answer_too_long": Text(
        "the answer to {route} is larger than its bound for items, so it was not read and is not understood",
        "{route} 的应答条目过多，未读完，无法识别",
    ),
    "answer_too_slow": Text(
        "the answer to {route} is large and came slowly while other servers' large answers waited, so it was not read",
        "{route} 的应答较大且传输缓慢，而其他服务器的大型应答正在等待，因此未读完",
    ),
    "answer_only_framing": Text(
        "the server sends headers, interim responses or chunk sizes without end",
        "服务器发来的标头、临时响应或分块大小没有尽头",
    ),
    "asked_again_in": Text("{what}; asked again in {seconds} s", "{what}；{seconds} 秒后再次请求"),
    "large_answers_waiting": Text(
        "the answer to {route} is large and was not read in time, because other servers' large answers are being read",
        "{route} 的应答较大；因正在读取其他服务器的大型应答，未能及时读取",
    ),
    "not_comfyui": Text("not a ComfyUI answer", "不是 ComfyUI 的应答"),
    "not_queue": Text("not a ComfyUI queue: {error}", "不是 ComfyUI 的队列：{error}"),
    "queue_incomplete": Text(
        "the queue lists {listed} of {length} prompts, so one that is not listed may be in it",
        "队列只列出 {length} 个任务中的 {listed} 个，未列出的任务可能仍在其中",
    ),
    "not_history": Text("not a ComfyUI history: {error}", "不是 ComfyUI 的历史：{error}"),
    "check_not_understood": Text("the answer of the cache check is not understood", "缓存检查的应答无法识别"),
    "not_inspire_list": Text("not Inspire-Pack's cache list", "不是 Inspire-Pack 的缓存列表"),
    "plugin_instead_of_node": Text(
        "a plug-in answers in words, and there is no companion node", "有以文字应答的插件，但没有伴随节点"
    ),
    "node_stopped_answering": Text(
        "the companion node answered once, then something else did", "伴随节点应答一次后，换成了其他程序应答"
    ),
    "node_not_understood": Text(
        "the companion node's answer is not understood: {error}", "伴随节点的应答无法识别：{error}"
    ),
    "node_omits_keys": Text("the companion node does not mention {keys}", "伴随节点没有说明 {keys}"),
    "restarted_during_check": Text("the server restarted during the check", "服务器在检查期间重启"),
    "connection_refused": Text("connection refused", "连接被拒绝"),
    "name_not_resolved": Text("cannot resolve host name {host}: {error}", "无法解析主机名 {host}：{error}"),
    "connection_failed": Text("cannot connect: {error}", "无法连接：{error}"),
    "certificate_not_trusted": Text("the certificate is not trusted: {error}", "证书不受信任：{error}"),
    "private_authority": Text(
        "the certificate is not trusted: {error}; for a private authority, set tls.ca_file to its certificate",
        "证书不受信任：{error}；如由私有机构签发，请将 tls.ca_file 设为该机构的证书",
    ),
    "certificate_self_signed": Text(
        "the certificate is not trusted: it is self-signed ({error}); set tls.ca_file to this certificate",
        "证书不受信任：证书为自签名（{error}）；请将 tls.ca_file 设为该证书",
    ),
    "certificate_expired": Text(
        "the certificate has expired ({error}); renew it on the server", "证书已过期（{error}）；请在服务器上更新证书"
    ),
    "certificate_not_yet_valid": Text(
        "the certificate is not valid yet ({error}); correct the clocks", "证书尚未生效（{error}）；请校正时钟"
    ),
    "certificate_wrong_name": Text(
        "the certificate is for another name: {error}; use its name in the URL, or have one issued for this name",
        "证书属于其他名称：{error}；请在 URL 中使用证书上的名称，或为该名称签发证书",
    ),
    "plain_http": Text(
        "the server answers without TLS; use http:// in the URL", "服务器未使用 TLS；请在 URL 中使用 http://"
    ),
    "https_only": Text(
        "the server speaks only https; use https:// in the URL", "服务器只接受 https；请在 URL 中使用 https://"
    ),
    "ws_redirected": Text("/ws redirects to {location} (HTTP {status})", "/ws 重定向到 {location}（HTTP {status}）"),
    "ws_status": Text("/ws answers HTTP {status}", "/ws 返回 HTTP {status}"),
    "ws_flood": Text(
        "the server sends more on /ws than is read at once, so its frames are read late",
        "服务器在 /ws 上发送的数据过多，其消息会延迟读取",
    ),
    "ws_text_cut": Text(
        "a text on /ws was too long, and only its beginning was read", "/ws 上的一条文本过长，只读取了开头部分"
    ),
    "ws_closed": Text("the connection was closed ({error})", "连接已关闭（{error}）"),
    "ws_failed": Text("/ws: {error}", "/ws：{error}"),
    "no_descriptor": Text(
        "no file descriptor is free for /ws; raise the limit with ulimit -n or LimitNOFILE",
        "没有可用于 /ws 的文件描述符；请用 ulimit -n 或 LimitNOFILE 提高上限",
    ),
    "ws_silent": Text("/ws opened but sent nothing for {seconds} s", "/ws 已连接，但 {seconds} 秒内没有任何消息"),
}


DAEMON: dict[str, Text] = {
    "journal_not_open": Text("the journal is not open", "日志库尚未打开"),
    "journal_not_readable": Text("the journal cannot be read: {error}", "无法读取日志库：{error}"),
    "journal_backlog_full": Text("too many entries wait for the journal", "等待写入日志库的内容过多"),
    "journal_too_new": Text(
        "the journal has schema {found}, but this comfywarm only knows schema {known}; install a newer version",
        "日志库的版本为 {found}，而本程序只支持到 {known}；请安装更新的版本",
    ),
    "shared_journal_not_writable": Text("the shared journal cannot be written", "共享日志库无法写入"),
    "file_gone": Text(
        "{path} was deleted or moved away; put it back, or restore the data folder, and restart the daemon",
        "{path} 已被删除或移走；请将其放回，或恢复数据目录，然后重启服务",
    ),
    "file_replaced": Text(
        "{path} is no longer the file that this daemon opened; stop other daemons in this folder and restart this one",
        "{path} 已不是本服务打开的文件；请停止使用该目录的其他服务，然后重启本服务",
    ),
    "file_overwritten": Text(
        "{path} was overwritten or truncated by another program; stop the daemon, restore a backup if there is one, and"
        " start it again",
        "{path} 已被其他程序覆盖或截断；请停止服务，如有备份请恢复，然后重新启动",
    ),
    "journal_used_meanwhile": Text(
        "{path} is back, but another program has changed it meanwhile; restart the daemon",
        "{path} 已恢复，但期间被其他程序更改；请重启服务",
    ),
    "file_not_writable": Text(
        "{path} may not be written any more; restore its permissions, or make its file system writable",
        "{path} 不再允许写入；请恢复其权限，或使其文件系统可写",
    ),
    "file_not_examined": Text("{path} cannot be examined: {error}", "无法查看 {path}：{error}"),
    "file_is_link": Text(
        "{path} is a symbolic link, which is not followed; put the file itself there, or link the whole data folder",
        "{path} 是符号链接，不予跟随；请放置文件本身，或将整个数据目录设为链接",
    ),
    "file_is_special": Text(
        "{path} is a pipe, a socket or a device, not a file; remove it and start the daemon again",
        "{path} 是管道、套接字或设备，不是文件；请将其删除并重新启动服务",
    ),
    "file_has_links": Text(
        "{path} has {count} names (hard links); copy it to a file of its own in its place",
        "{path} 有 {count} 个名称（硬链接）；请以单独的文件副本替换",
    ),
    "already_running": Text("another daemon is already running in {folder}", "{folder} 中已有另一个守护进程在运行"),
    "servers_reconfigured": Text(
        "servers added {added}, removed {removed}, changed {changed}",
        "新增服务器 {added} 台，移除 {removed} 台，更改 {changed} 台",
    ),
    "sections_changed": Text("settings changed: {keys}", "已更改的设置：{keys}"),
    "gateway_restart_needed": Text("restart the gateway to change gateway", "gateway 的设置在网关下次启动后生效"),
    "restart_needed": Text("restart the daemon to change {keys}", "以下设置在下次启动后生效：{keys}"),
    "nats_missing": Text(
        'cluster needs nats-py; install it with: pip install "comfywarm[cluster]"',
        'cluster 需要 nats-py；请安装：pip install "comfywarm[cluster]"',
    ),
    "nats_not_answering": Text(
        "no NATS server of cluster.nats answers: {error}", "cluster.nats 中的 NATS 服务器均无应答：{error}"
    ),
    "server_lost": Text("another node has taken {server} over", "{server} 已由其他节点接管"),
    "cluster_not_answering": Text("the cluster does not answer: {error}", "集群没有应答：{error}"),
}
