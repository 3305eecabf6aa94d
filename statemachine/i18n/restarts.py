"""The messages of restarts by a hook."""

from statemachine.i18n.text import Text

RESTARTS: dict[str, Text] = {
    "restart_before_start": Text(
        "a restart that began before the daemon started goes on", "继续守护进程启动之前开始的重启"
    ),
    "restart_not_restored": Text(
        "the journal could not be read when the daemon started, so the restart was given up",
        "守护进程启动时无法读取日志库，因此放弃了重启",
    ),
    "drained": Text(
        "the server has finished its prompts; the restart hook starts", "服务器已完成任务；开始运行重启钩子"
    ),
    "drained_dead": Text(
        "the server runs none of its {count} prompts, so they are not waited for; the restart hook starts",
        "服务器不再运行其 {count} 个任务，因此不再等待；开始运行重启钩子",
    ),
    "drained_away": Text(
        "the server does not answer, so its prompts are not waited for; the restart hook starts",
        "服务器没有应答，因此不等待其任务；开始运行重启钩子",
    ),
    "not_drained_restart": Text(
        "the server still has {count} prompts after {seconds} s; the restart hook starts all the same "
        "(restart.when_not_drained)",
        "{seconds} 秒后服务器仍有 {count} 个任务；仍然开始运行重启钩子（restart.when_not_drained）",
    ),
    "not_drained": Text(
        "the server still has {count} prompts after {seconds} s, so it is not restarted (restart.drain_timeout_s)",
        "{seconds} 秒后服务器仍有 {count} 个任务，因此不重启（restart.drain_timeout_s）",
    ),
    "queue_not_seen": Text(
        "the server did not say within {seconds} s whether it has prompts ({cause}), so it is not restarted",
        "服务器在 {seconds} 秒内没有说明是否还有任务（{cause}），因此不重启",
    ),
    "hook_unrecorded": Text("the restart hook is not run: {cause}", "没有运行重启钩子：{cause}"),
    "hook_ended_with": Text("the command ended with status {status}: {output}", "命令以状态 {status} 结束：{output}"),
    "hook_killed": Text("the command was ended by signal {signal}: {output}", "命令被信号 {signal} 终止：{output}"),
    "hook_timed_out": Text(
        "the hook did not end within {seconds} s and was stopped: {output}",
        "钩子在 {seconds} 秒内没有结束，已停止：{output}",
    ),
    "latest_restart_failed": Text("its latest restart failed: {cause}", "上次重启失败：{cause}"),
    "hook_not_in_path": Text(
        "restart.command ({count} servers, such as {server}): program {program} not found in PATH; correct it, or give "
        "its path, absolute or relative to the settings file",
        "restart.command（{count} 台服务器，例如 {server}）：PATH 中没有程序 {program}；请更正，"
        "或给出其路径（绝对路径，或相对于设置文件）",
    ),
    "hook_not_found": Text(
        "restart.command ({count} servers, such as {server}): program {program} not found; correct the path, which is "
        "absolute or relative to the settings file",
        "restart.command（{count} 台服务器，例如 {server}）：没有程序 {program}；"
        "请更正路径（绝对路径，或相对于设置文件）",
    ),
    "hook_not_executable": Text(
        "restart.command ({count} servers, such as {server}): {program} is not an executable file; "
        "allow it with chmod +x",
        "restart.command（{count} 台服务器，例如 {server}）：{program} 不是可执行文件；请用 chmod +x 赋予执行权限",
    ),
    "hook_not_started": Text("the command cannot be started: {cause}", "无法启动命令：{cause}"),
    "hook_refused": Text("the request was answered with {status}: {output}", "请求的应答为 {status}：{output}"),
    "hook_unanswered": Text("the request was not answered: {cause}", "请求没有得到应答：{cause}"),
    "hook_interrupted": Text(
        "the daemon ended while the hook was running or about to run; it is never run twice",
        "钩子运行期间或即将运行时守护进程结束；钩子不会运行第二次",
    ),
    "paused_hook_ended": Text(
        "the restart hook that was running has ended; the server stays paused", "运行中的重启钩子已结束；服务器保持停用"
    ),
    "paused_hook_not_run": Text(
        "the server was paused before the restart hook was run; it stays paused",
        "服务器在重启钩子运行之前被停用；服务器保持停用",
    ),
    "restart_too_old": Text(
        "the restart was requested {seconds} s ago, longer than restart.drain_timeout_s, and no daemon looked after it "
        "meanwhile, so the server is not restarted",
        "重启请求已过去 {seconds} 秒，超过 restart.drain_timeout_s，期间没有守护进程处理，因此不重启",
    ),
    "not_warmed_in": Text(
        "the server returned from its restart {seconds} s ago and is not loaded: {cause}",
        "服务器重启恢复已 {seconds} 秒，仍未就绪：{cause}",
    ),
    "hook_no_output": Text("no output", "没有输出"),
    "not_returned_in": Text(
        "the server did not answer as ComfyUI does within {seconds} s after the restart hook: {cause}",
        "重启钩子之后 {seconds} 秒内服务器没有给出 ComfyUI 的应答：{cause}",
    ),
    "not_restarted_in": Text(
        "{seconds} s after the restart hook the same process of the server still answers; does the hook restart "
        "another server?",
        "重启钩子之后 {seconds} 秒，仍是同一个服务器进程在应答；钩子是否重启了另一台服务器？",
    ),
    "away_after_restart": Text(
        "the server had returned from its restart and has not answered for {seconds} s since",
        "服务器重启恢复后又失联，已 {seconds} 秒没有应答",
    ),
    "standstill_worker": Text(
        "the companion node reports that the server's worker has died", "伴随节点报告服务器的工作线程已终止"
    ),
    "standstill_idle": Text(
        "{count} prompts wait and none runs, for {seconds} s", "{count} 个任务在等待，已 {seconds} 秒没有任务运行"
    ),
    "standstill_ours": Text(
        "our own prompt is running without progress, for {seconds} s", "我们的任务正在运行，但已 {seconds} 秒没有进展"
    ),
    "standstill_hang": Text(
        "one prompt has been running for {seconds} s, while the memory of no device has changed",
        "同一任务已运行 {seconds} 秒，期间设备内存没有任何变化",
    ),
    "standstill_unlisted": Text(
        "of {count} prompts that the queue counts and does not list, none has ended for {seconds} s, and the memory "
        "of no device has changed",
        "队列计入 {count} 个未列出的任务，已 {seconds} 秒没有任务结束，设备内存也没有任何变化",
    ),
    "restart_unconfirmed": Text(
        "the server answers {seconds} s after the restart hook, but nothing shows that it has restarted",
        "重启钩子之后 {seconds} 秒服务器有应答，但没有迹象表明它已重启",
    ),
    "restart_no_hook": Text(
        "{server} has no restart hook; set restart.command or restart.http",
        "{server} 没有重启钩子；请设置 restart.command 或 restart.http",
    ),
    "restart_not_stored": Text(
        "{server} is not restarted, because the journal cannot store the request: {cause}",
        "日志库无法保存请求，因此不重启 {server}：{cause}",
    ),
    "cancellation_not_stored": Text(
        "the restart of {server} is cancelled, but the journal cannot store that, so it may go on if the daemon ends "
        "now: {cause}",
        "{server} 的重启已取消，但日志库无法保存；如果守护进程此时结束，重启可能会继续：{cause}",
    ),
    "server_not_started": Text(
        "the daemon has just started and has not begun with this server yet; try again in a few seconds",
        "守护进程刚刚启动，尚未开始处理该服务器；请几秒后再试",
    ),
    "journal_slow": Text("it takes longer than {seconds} s", "耗时超过 {seconds} 秒"),
    "restart_paused": Text("{server} is paused; resume it first", "{server} 已停用；请先恢复"),
    "restart_for_stuck": Text("it accepts prompts and runs none: {cause}", "接受任务但不运行：{cause}"),
    "restart_for_memory": Text(
        "{used} % of the memory of its host are in use, at most {limit} % are allowed (restart.max_ram_percent)",
        "主机内存已使用 {used} %，上限为 {limit} %（restart.max_ram_percent）",
    ),
    "restart_for_schedule": Text(
        "its schedule asks for it: {cron} ({zone}, restart.schedule)", "按计划重启：{cron}（{zone}，restart.schedule）"
    ),
    "restart_for_age": Text(
        "its last restart is longer ago than {age} (restart.max_age)", "距上次重启已超过 {age}（restart.max_age）"
    ),
    "restart_limit": Text(
        "{why}; it was restarted {count} times within a day (restart.max_per_day)",
        "{why}；一天内已重启 {count} 次（restart.max_per_day）",
    ),
    "drains_limit": Text(
        "{why}; {count} restarts in a row were given up because its prompts did not end (restart.drain_timeout_s); "
        "restart it yourself",
        "{why}；连续 {count} 次因任务未按时完成而放弃重启（restart.drain_timeout_s）；请手动重启",
    ),
    "restart_too_soon": Text(
        "{why}; its last restart is too recent for another one (restart.min_pause)",
        "{why}；距上次重启太近，暂不再次重启（restart.min_pause）",
    ),
}
