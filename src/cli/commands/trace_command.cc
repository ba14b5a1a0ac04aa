// tcpwhy trace: a real program, started or already running: its connections, and why they did what they did.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/format.h"
#include "capfile/recording/recording_io.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output/output_file.h"
#include "cli/output/view.h"
#include "observe/stop_on_signals.h"
#include "observe/trace_session.h"
#include "render/reports/watching_line.h"

namespace tcpwhy::cli {
namespace {

struct TraceOptions {
  observe::TraceSessionOptions session;
  std::vector<std::string> hosts;
  std::vector<std::uint16_t> ports;
  bool no_packets = false;
  std::string write_to, report_to;
  bool overwrite = false;
  View view;
  FailOn fail_on;
  bool quiet = false, verbose = false, all = false;
};

constexpr std::uint64_t most_32_bits = UINT32_MAX;

// --host, --port and the filter, in tcpdump's language.
std::string filter_of(const TraceOptions& options) {
  std::string filter;
  const auto add = [&filter](const std::string& part) { filter += (filter.empty() ? "" : " and ") + part; };
  const auto any_of = [](const auto& values, const char* word) {
    std::string text;
    for (const auto& value : values) text += fmt::format("{}{} {}", text.empty() ? "" : " or ", word, value);
    return "(" + text + ")";
  };
  if (!options.session.filter.empty()) add("(" + options.session.filter + ")");
  if (!options.hosts.empty()) add(any_of(options.hosts, "host"));
  if (!options.ports.empty()) add(any_of(options.ports, "port"));
  return filter;
}

// As strace(1): the exit status of the command, or its death.
int pass_on(int status) {
  if (!WIFSIGNALED(status)) return WEXITSTATUS(status);
  const int number = WTERMSIG(status);
  signal(number, SIG_DFL);
  kill(getpid(), number);
  return 128 + number;  // it is blocked, or stops only
}

base::Result<std::optional<OutputFile>> open_file(const std::string& path, bool overwrite) {
  if (path.empty()) return std::nullopt;
  auto opened = OutputFile::open(path, overwrite);
  if (!opened) return std::unexpected(opened.error());
  return std::optional(std::move(*opened));
}

base::Status write_to(OutputFile& file, const std::string& path, std::span<const recording::Recording> recordings) {
  if (auto written = capfile::write_recordings(recordings, file.sink(), capfile::compression_of(path)); !written)
    return written;
  return file.finish();
}

// Returns what --fail-on makes of the findings. Where there is no memory for all, the later part is left out, and said to be.
int explain_and_show(recording::Recording& recording, const TraceOptions& options, Context& context) {
  while (true) {
    try {
      const auto explained = explain_all({&recording, 1});
      if (options.view.form == Form::tcpdump)
        PacketLines(options.view, context).print(recording);
      else
        show(explained, options.view.form, context, options.all);
      return findings_status(explained, options.fail_on);
    } catch (const std::bad_alloc&) {
      if (!observe::leave_out_later_half(recording)) throw;
    }
  }
}

// Who attaches has to know from when on he sees; of a command that we start, whoever sits at a terminal.
std::function<void(const std::vector<observe::Watched>&)> watching_teller(const trace::Target& target,
                                                                          const Context& context) {
  if (target.pids.empty() && isatty(STDERR_FILENO) != 1) return {};
  return [command = target.command, language = context.language()](const std::vector<observe::Watched>& running) {
    std::vector<render::WatchedProgram> programs;
    if (!command.empty()) programs.push_back({.name = std::filesystem::path(command.front()).filename().string()});
    for (const observe::Watched& process : running) programs.push_back({process.name, process.pid});
    Output(STDERR_FILENO).write(render::watching_line(programs, language));
  };
}

int run_trace(const TraceOptions& options, Context& context) {
  if (options.session.target.command.empty() && options.session.target.pids.empty())
    return report({base::ErrorKind::usage,
                   {"neither a command nor a process to trace", "没有指定要跟踪的命令或进程"},
                   {"tcpwhy trace -- COMMAND, or -p PID", "tcpwhy trace -- COMMAND，或 -p PID"}});
  observe::TraceSessionOptions session = options.session;
  session.filter = filter_of(options);
  session.packets = !options.no_packets;
  if (!options.write_to.empty() && std::filesystem::path(options.write_to).lexically_normal() ==
                                       std::filesystem::path(options.report_to).lexically_normal())
    return report({base::ErrorKind::usage,
                   base::format({"-w and --report name the same file: {}", "-w 和 --report 指定了同一个文件：{}"},
                                options.write_to),
                   {}});
  auto report_file = open_file(options.report_to, options.overwrite);
  if (!report_file) return report(report_file.error());
  auto recording_file = open_file(options.write_to, options.overwrite);
  if (!recording_file) return report(recording_file.error());
  if (!options.quiet) session.on_watching = watching_teller(session.target, context);
  observe::StopOnSignals stop_on_signals;
  auto outcome = observe::run_trace_session(session, stop_on_signals);
  if (!outcome) return report(outcome.error());
  if (!options.quiet)
    for (const base::Error& lacking : outcome->lacking)
      warn(options.verbose && !lacking.hint.empty() ? base::format({"{}\n{}", "{}\n{}"}, lacking.message, lacking.hint)
                                                    : lacking.message);

  int failed = 0;  // what could not be written is said, and what else there is to say is said too
  const auto check = [&failed](const base::Status& done) {
    if (!done) failed = report(done.error());
  };
  std::vector recordings{std::move(outcome->recording)};
  if (*recording_file) check(write_to(**recording_file, options.write_to, recordings));
  // The command has standard output for itself.
  const Output standard_output = context.out;
  if (*report_file)
    context.out = (*report_file)->out();
  else if (!session.target.command.empty())
    context.out = Output(STDERR_FILENO, {"the report", "报告"});
  const int found = explain_and_show(recordings.front(), options, context);
  check(context.out.status());
  if (*report_file && context.out.status()) check((*report_file)->finish());
  context.out = standard_output;
  if (observe::StopOnSignals::requested()) observe::StopOnSignals::die_of_it();
  if (!session.target.command.empty() && !outcome->command_status)
    check(base::fail(base::ErrorKind::system, {"how the command ended was not seen", "没有看到命令如何结束"}));
  if (failed != 0) return failed;
  const int status = outcome->command_status ? pass_on(*outcome->command_status) : 0;
  return status != 0 ? status : found;
}

}  // namespace

void add_trace_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* trace = app.add_subcommand(
      "trace",
      description(
          {"A real program: its connections, and why they did what they did", "真实的程序：它的连接，以及为什么会这样"},
          {{"tcpwhy trace -- curl http://example.org/", {"a command, to its end", "一条命令，直到结束"}},
           {"sudo tcpwhy trace -p 1234 --port 5432", {"a process, until Ctrl-C", "一个进程，直到 Ctrl-C"}},
           {"sudo tcpwhy trace -w x.pcapng -- ./server",
            {"recorded too: tcpwhy read x.pcapng", "同时记录：tcpwhy read x.pcapng"}}}));
  const auto options = std::make_shared<TraceOptions>();
  auto& session = options->session;
  in_range(trace->add_option("-p,--pid", session.target.pids,
                             said({"A process that runs already, and what it forks; may be repeated",
                                   "已在运行的进程及其派生的进程；可重复"})),
           a_process)
      ->option_text("PID");
  trace->add_option("COMMAND", session.target.command,
                    said({"A command to start, after --; its output and exit status pass through",
                          "要启动的命令，写在 -- 之后；其输出和退出状态照常传出"}));
  in_range(trace->add_option("--port", options->ports,
                             said({"Only packets from or to this port (1 to 65535); may be repeated",
                                   "只要此端口（1 到 65535）收发的报文；可重复"})),
           a_port);
  trace
      ->add_option("--host", options->hosts,
                   said({"Only packets from or to this address; may be repeated", "只要此地址收发的报文；可重复"}))
      ->option_text("ADDRESS");
  trace
      ->add_option("--filter", session.filter,
                   said({"Only these packets, as tcpdump(1) is told: 'net 10/8'",
                         "只要这些报文，写法同 tcpdump(1)：'net 10/8'"}))
      ->option_text("FILTER");
  trace->add_flag("--no-packets", options->no_packets,
                  said({"No taps: calls and the kernel's events only", "不抓包：只看调用和内核的事件"}));
  add_choice(
      *trace, "--backend", session.backend,
      Choices<observe::Backend>{
          {"auto", observe::Backend::automatic}, {"bpf", observe::Backend::bpf}, {"ptrace", observe::Backend::ptrace}},
      {"How: the kernel's tracepoints (bpf, for root), or ptrace, for one's own processes; the first that is to be had",
       "方式：内核跟踪点（bpf，需要 root），或 ptrace（自己的进程）；默认取第一个可用的"});
  trace->add_flag("--stop-at-calls", session.stop_at_calls,
                  said({"With ptrace: stop at each call, where a busy command's calls are recorded inside it otherwise",
                        "使用 ptrace 时在每个调用处停顿；否则繁忙命令的调用在其内部记录"}));
  trace
      ->add_option("-w,--write", options->write_to,
                   said({"Write the recording there, for Wireshark, tcpdump and tcpwhy read",
                         "把记录写到该文件，供 Wireshark、tcpdump 和 tcpwhy read 读取"}))
      ->option_text("FILE.pcapng");
  trace
      ->add_option("--report", options->report_to,
                   said({"Write what is found there instead of to standard error (with -p: output)",
                         "把结果写到该文件，而不是标准错误（使用 -p 时是标准输出）"}))
      ->option_text("FILE");
  add_overwrite(*trace, options->overwrite);
  in_range(
      trace->add_option("--snaplen", session.snap_length,
                        said(base::format({"Bytes kept of a packet (default: {})", "每个报文保留的字节数（默认：{}）"},
                                          session.snap_length))),
      {.most = most_32_bits});
  in_range(trace->add_option(
               "--max-events", session.most_events,
               said(base::format(
                   {"So many calls, packets and events of the kernel are kept; what comes later is left out, and said "
                    "(default: {})",
                    "最多保留多少个调用、报文和内核事件；之后的略去并说明（默认：{}）"},
                   session.most_events))),
           {});
  in_range(
      trace->add_option("--ring", session.ring_bytes,
                        said(base::format({"Bytes of the probe's ring buffers together, a power of two (default: {})",
                                           "探针环形缓冲区的总字节数，须为 2 的幂（默认：{}）"},
                                          session.ring_bytes))),
      {.most = most_32_bits});
  trace->add_flag("-q,--quiet", options->quiet,
                  said({"Don't say what is watched, nor what could not be", "不说明在观察什么，也不说明什么无法观察"}));
  trace->add_flag("-v,--verbose", options->verbose,
                  said({"Say why something could not be watched in the kernel's own words: the verifier's last lines",
                        "用内核自己的话说明为何无法观察：验证器的最后几行"}));
  trace->add_flag(
      "--all", options->all,
      said({"Every connection with its whole timeline and everything that was found, not only what is wrong",
            "每个连接的完整时间线和全部发现，而不只是问题"}));
  add_view(*trace, options->view);
  add_fail_on(*trace, options->fail_on);
  trace->footer(said(
      {"SIGINT, SIGTERM or SIGHUP ends the trace: processes of -p go on; a command gets the signal, and what is left of it "
       "after two seconds is killed. The report follows; then tcpwhy dies of the signal. Another one ends it at once.",
       "SIGINT、SIGTERM 或 SIGHUP 结束跟踪：-p 的进程继续运行；命令会收到该信号，两秒后仍未结束的部分被杀死。"
       "随后输出报告，tcpwhy 再因该信号而终止。再来一个信号则立即结束。"}));
  add_settings(*trace, settings);
  trace->callback(
      [&chosen, options] { chosen = [options](Context& context) { return run_trace(*options, context); }; });
}

}  // namespace tcpwhy::cli
