// tcpwhy watch: the whole machine, one line for each TCP connection when it ends: who, with whom, how long, who
// closed first, why.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capfile/recording/recording_io.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "cli/output/output_file.h"
#include "explain/rules/life.h"
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
  std::string write_to;
  bool overwrite = false;
};

// What the session tells -> lines, statistics and recordings.
class WatchWriter final : public observe::WatchListener {
 public:
  WatchWriter(const WatchOptions& options, Context& context)
      : options_(options), context_(context), language_(context.language()), lines_of_(options.form) {}

  // A section of `file` for each connection: each is a recording of its own.
  void write_recordings_to(OutputFile& file) { file_ = &file; }

  void opened(const SocketLife& life) override { lines_of_.opened(life, lines_); }
  void ended(const SocketLife& life, const SocketLife* peer, recording::Recording&& kept) override;
  base::Status caught_up() override {
    if (written_) written_ = flush();
    return written_;
  }
  void lost(const std::string& sentence) override { warn(sentence); }
  void second_passed(std::size_t alive) override { write_statistics(alive); }
  [[nodiscard]] bool done() const override { return context_.out.closed(); }

  void write_statistics(std::size_t alive) {
    if (options_.stats) context_.out.write(counts_.text(alive));
  }

 private:
  base::Status flush();

  const WatchOptions& options_;
  Context& context_;
  base::Language language_;
  OutputFile* file_ = nullptr;
  render::LifeLines lines_of_;
  render::EndingCounts counts_;
  std::string lines_;
  std::vector<recording::Recording> recordings_;
  base::Status written_;
};

void WatchWriter::ended(const SocketLife& life, const SocketLife* peer, recording::Recording&& kept) {
  const auto verdict = explain::judge(life, peer);
  counts_.add(verdict);
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
  if (file)
    if (const auto appeared = file->appear(); !appeared) return report(appeared.error());  // it grows from now on
  const observe::StopOnSignals stop_on_signals;
  base::Status written = session->run(writer, stop_on_signals);
  writer.write_statistics(session->alive());
  if (file && written) written = file->finish();
  return written ? 0 : report(written.error());
}

}  // namespace

void add_watch_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* watch =
      app.add_subcommand("watch", "The whole machine: each TCP connection when it ends, and why it did (root)");
  const auto options = std::make_shared<WatchOptions>();
  watch->add_option("FILTER", options->filter, "Only these connections, as tcpdump(1) is told: port 5432");
  watch->add_flag("--all", options->session.openings, "Also when a connection is opened");
  watch->add_flag("--abnormal", options->abnormal, "Only those that did not end well");
  watch->add_flag("--stats", options->stats, "Count the causes each second instead of telling each connection");
  watch->add_option("-i,--interface", options->session.interface,
                    "Only connections that go over this network interface, by their addresses");
  watch->add_option("-w,--write", options->write_to,
                    "Write what the kernel said of each connection that ends to this file, a pcapng section each");
  add_overwrite(*watch, options->overwrite);
  watch->add_option("--seconds", options->seconds, "Stop after so many; else with Ctrl-C");
  watch->add_option("--ring", options->session.ring_bytes, "Bytes of the probe's ring buffers together, a power of two")
      ->capture_default_str();
  add_choice(*watch, "-o,--output", options->form,
             Choices<render::LifeLines::Form>{{"text", render::LifeLines::Form::text},
                                              {"ndjson", render::LifeLines::Form::ndjson}},
             "A line of text for each, or a JSON document a line");
  add_settings(*watch, settings);
  watch->callback(
      [&chosen, options] { chosen = [options](Context& context) { return run_watch(*options, context); }; });
}

}  // namespace tcpwhy::cli
