// tcpwhy watch: one line for each TCP connection when it ends: who, with whom, how long, who closed first, why.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/format.h"
#include "capfile/recording/recording_io.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output/output_file.h"
#include "explain/rules/life.h"
#include "observe/netns.h"
#include "observe/stop_on_signals.h"
#include "observe/watch_session.h"
#include "render/reports/life_lines.h"

namespace tcpwhy::cli {
namespace {

using recording::SocketLife;

// So much is written together: a write for each would cost more than the rest.
constexpr std::size_t most_line_bytes = 256 << 10, most_recordings = 1024;

struct WatchOptions {
  observe::WatchSessionOptions session;
  std::vector<std::string> filter;
  bool abnormal = false, stats = false;
  render::LifeLines::Form form = render::LifeLines::Form::text;
  double seconds = 0;
  std::string netns;
  std::string write_to;
  bool overwrite = false;
};

// Lines of text keep to a terminal's width, or to what was asked for; what another program reads is a line for each connection.
std::optional<std::size_t> width_of_lines(const Context& context) {
  if (context.settings.width || terminal_columns(STDOUT_FILENO)) return context.width();
  return std::nullopt;
}

// What the session tells -> lines, statistics and recordings.
class WatchWriter final : public observe::WatchListener {
 public:
  WatchWriter(const WatchOptions& options, Context& context)
      : options_(options),
        context_(context),
        language_(context.language()),
        lines_of_({.form = options.form, .language = language_, .width = width_of_lines(context)}),
        counts_(language_) {}

  // A section of `file` for each connection: each is a recording of its own.
  void write_recordings_to(OutputFile& file) { file_ = &file; }
  // From now on nothing is missed.
  void begin(const observe::WatchSession& session);

  void opened(const SocketLife& life) override { lines_of_.opened(life, lines_); }
  void ended(const SocketLife& life, const SocketLife* peer, recording::Recording&& kept) override;
  base::Status caught_up() override {
    if (written_) written_ = flush();
    return written_;
  }
  void lost(const base::Text& sentence) override { warn(sentence); }
  void second_passed() override {
    if (options_.stats) write_counts();
  }
  [[nodiscard]] bool done() const override { return context_.out.closed(); }

  // After the last line.
  void end() { write_counts(); }

 private:
  base::Status flush();
  void write_counts();
  // Sentences for people, which a reader of documents has no use for.
  [[nodiscard]] bool is_text() const { return options_.form == render::LifeLines::Form::text; }

  const WatchOptions& options_;
  Context& context_;
  base::Language language_;
  const observe::WatchSession* session_ = nullptr;
  std::chrono::steady_clock::time_point began_{};
  OutputFile* file_ = nullptr;
  render::LifeLines lines_of_;
  render::EndingCounts counts_;
  std::string lines_;
  std::size_t lines_in_place_ = 0;  // of counts that the next ones replace, on a terminal
  std::vector<recording::Recording> recordings_;
  base::Status written_;
};

void WatchWriter::begin(const observe::WatchSession& session) {
  session_ = &session;
  began_ = std::chrono::steady_clock::now();
  if (!is_text()) return;
  const bool filtered = !options_.filter.empty() || !options_.session.interface.empty() || options_.abnormal ||
                        options_.session.lives != observe::LifeFilter{};
  context_.out.write(render::watch_heading({.every_netns = options_.session.every_netns,
                                            .netns = options_.netns,
                                            .filtered = filtered,
                                            .since = base::wall_now(),
                                            .language = language_,
                                            .width = context_.width()}));
}

void WatchWriter::write_counts() {
  if (session_ == nullptr || !is_text()) return;
  const std::string text = counts_.text(session_->alive(), std::chrono::steady_clock::now() - began_, context_.width());
  const bool in_place = options_.stats && terminal_columns(STDOUT_FILENO).has_value();
  // Up by so many lines, and clear what is below (ECMA-48: CPL, ED).
  if (in_place && lines_in_place_ > 0) context_.out.write(fmt::format("\x1b[{}F\x1b[J", lines_in_place_));
  lines_in_place_ = static_cast<std::size_t>(std::ranges::count(text, '\n'));
  context_.out.write(text);
}

void WatchWriter::ended(const SocketLife& life, const SocketLife* peer, recording::Recording&& kept) {
  const auto verdict = explain::judge(life, peer);
  counts_.add(verdict, life.opener);
  if (options_.abnormal && !verdict.row->abnormal) return;
  if (options_.stats && file_ == nullptr) return;
  const std::string why = explain::words(verdict, life, peer, language_);
  if (file_ != nullptr) {
    kept.events.push_back({life.ended, {}, recording::Note{why, 0}});
    recording::sort_by_time(kept);
    recordings_.push_back(std::move(kept));
  }
  if (!options_.stats) lines_of_.ended(life, peer, verdict, why, lines_);
  if (written_ && (lines_.size() >= most_line_bytes || recordings_.size() >= most_recordings)) written_ = flush();
}

base::Status WatchWriter::flush() {
  if (!lines_.empty()) context_.out.write(lines_);
  lines_.clear();
  if (recordings_.empty()) return {};
  const auto written = capfile::write_recordings(recordings_, file_->sink());
  recordings_.clear();
  return written;
}

int run_watch(const WatchOptions& options, Context& context) {
  if (!options.netns.empty())
    if (const auto entered = observe::enter_netns(options.netns); !entered) return report(entered.error());
  observe::WatchSessionOptions asked = options.session;
  asked.filter = fmt::format("{}", fmt::join(options.filter, " "));
  asked.record = !options.write_to.empty();
  if (options.seconds > 0) asked.duration.emplace(options.seconds);
  auto session = observe::WatchSession::prepare(asked);
  if (!session) return report(session.error());
  WatchWriter writer(options, context);
  std::optional<OutputFile> file;
  if (asked.record) {
    auto opened = OutputFile::open(options.write_to, options.overwrite);
    if (!opened) return report(opened.error());
    file.emplace(std::move(*opened));
    writer.write_recordings_to(*file);
  }
  if (const auto begun = session->begin(writer); !begun) return report(begun.error());
  writer.begin(*session);
  if (file)
    if (const auto appeared = file->appear(); !appeared) return report(appeared.error());  // it grows from now on
  const observe::StopOnSignals stop_on_signals;
  base::Status written = session->run(writer, stop_on_signals);
  writer.end();
  if (file && written) written = file->finish();
  return written ? 0 : report(written.error());
}

}  // namespace

void add_watch_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* watch = app.add_subcommand(
      "watch",
      description({"Each TCP connection when it ends: who, with whom, and why it ended so (root)",
                   "每个 TCP 连接结束时：谁、与谁、为何如此结束（需要 root）"},
                  {{"sudo tcpwhy watch", {"all of this machine's, until Ctrl-C", "本机的全部连接，直到 Ctrl-C"}},
                   {"sudo tcpwhy watch --abnormal --port 443",
                    {"those of a port that did not end well", "某端口上没有正常结束的连接"}},
                   {"sudo tcpwhy watch --stats", {"how they end, counted each second", "每秒统计其结束方式"}}}));
  const auto options = std::make_shared<WatchOptions>();
  auto& lives = options->session.lives;
  watch->add_option(
      "FILTER", options->filter,
      said({"Only these connections, as tcpdump(1) is told: port 5432", "只要这些连接，写法同 tcpdump(1)：port 5432"}));
  watch->add_flag("--all", options->session.openings, said({"Also when a connection is opened", "连接建立时也显示"}));
  watch->add_flag("--abnormal", options->abnormal, said({"Only those that did not end well", "只要没有正常结束的"}));
  watch->add_flag("--stats", options->stats,
                  said({"Count the ways they end each second instead of telling each connection",
                        "每秒统计各种结束方式，而不逐个列出连接"}));
  in_range(watch->add_option("-p,--pid", lives.pids,
                             said({"Only those of this process: it used or closed an end; may be repeated",
                                   "只要此进程的：它使用或关闭了其中一端；可重复"})),
           a_process)
      ->allow_extra_args(false)  // else it would take the filter
      ->option_text("PID");
  watch
      ->add_option("--comm", lives.commands,
                   said({"Only those of processes of this name; may be repeated", "只要此名称的进程的；可重复"}))
      ->allow_extra_args(false)
      ->option_text("NAME");
  watch
      ->add_option(
          "--cgroup", lives.cgroup,
          said(
              {"Only those of processes in this control group (version 2), or below: its folder, or its path from their root",
               "只要此控制组（第 2 版）及其下的进程的：其目录，或从根起的路径"}))
      ->option_text("PATH");
  in_range(watch->add_option("--port", lives.ports,
                             said({"Only those with this port (1 to 65535) at either end; may be repeated",
                                   "只要任一端是此端口（1 到 65535）的；可重复"})),
           a_port)
      ->allow_extra_args(false);
  watch
      ->add_option("-i,--interface", options->session.interface,
                   said({"Only connections that go over this network interface, by their addresses",
                         "只要经过此网络接口的连接（按地址判断）"}))
      ->option_text("NAME");
  auto* netns =
      watch->add_option("--netns", options->netns,
                        said({"Another network namespace: a name of ip-netns(8), a file, or a process's number",
                              "另一个网络命名空间：ip-netns(8) 的名称、文件，或进程号"}));
  netns->option_text("NAME");
  watch
      ->add_flag("--every-netns", options->session.every_netns,
                 said({"The whole machine: every network namespace", "整台机器：所有网络命名空间"}))
      ->excludes(netns);
  watch
      ->add_option(
          "-w,--write", options->write_to,
          said({"Write what the kernel said of each connection that ends (states, resets, errors; no packets) to "
                "this file, a pcapng section each",
                "把内核对每个结束的连接所说的内容（状态、复位、错误；不含报文）写到该文件，每个连接一个 pcapng 节"}))
      ->option_text("FILE.pcapng");
  add_overwrite(*watch, options->overwrite);
  watch
      ->add_option("--seconds", options->seconds,
                   said({"Stop after so many; else with Ctrl-C", "过这么多秒后停止；否则按 Ctrl-C"}))
      ->option_text("N");
  in_range(
      watch->add_option("--ring", options->session.ring_bytes,
                        said(base::format({"Bytes of the probe's ring buffers together, a power of two (default: {})",
                                           "探针环形缓冲区的总字节数，须为 2 的幂（默认：{}）"},
                                          options->session.ring_bytes))),
      {.most = UINT32_MAX});
  add_choice(*watch, "-o,--output", options->form,
             Choices<render::LifeLines::Form>{{"text", render::LifeLines::Form::text},
                                              {"ndjson", render::LifeLines::Form::ndjson}},
             {"A line of text for each (text, the default), or a JSON document a line (ndjson)",
              "每个连接一行文本（text，默认），或每行一个 JSON 文档（ndjson）"});
  add_settings(*watch, settings);
  watch->callback(
      [&chosen, options] { chosen = [options](Context& context) { return run_watch(*options, context); }; });
}

}  // namespace tcpwhy::cli
