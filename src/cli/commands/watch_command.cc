// tcpwhy watch: the whole machine, one line for each TCP connection when it ends: who, with whom, how long, who
// closed first, why.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json_text.h"
#include "base/text.h"
#include "base/units.h"
#include "capfile/recording/recording_io.h"
#include "capture/endpoint_filter.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "cli/output/output_file.h"
#include "explain/rules/life.h"
#include "observe/interface_addresses.h"
#include "observe/stop_on_signals.h"
#include "trace/bpf/kernel/kernel_symbols.h"
#include "trace/bpf/kernel/kernel_types.h"
#include "trace/bpf/lives/life_recorder.h"
#include "trace/bpf/lives/life_tracker.h"
#include "trace/bpf/probe.h"
#include "trace/give_way.h"

namespace tcpwhy::cli {
namespace {

using explain::Language;
using recording::SocketLife;
using namespace std::chrono_literals;

enum class WatchForm : std::uint8_t { text, ndjson };

// So much is written together.
constexpr std::size_t most_line_bytes = 256 << 10, most_recordings = 1024;

struct WatchOptions {
  std::vector<std::string> filter;
  bool opened = false, abnormal = false, stats = false;
  WatchForm form = WatchForm::text;
  double seconds = 0;
  std::string interface, write_to;
  bool overwrite = false;
  std::uint32_t ring_bytes =
      8U << 20;  // counts twice in the memory that the process has, for it is mapped twice in a row
};

std::string name_of(const SocketLife& life) {
  return life.holder.pid == 0 ? std::string()
                              : fmt::format("{}[{}]", base::escape_controls(life.holder.command), life.holder.pid);
}

// The time of day. What the clock shows in a second is asked of the C library once.
class ClockTime {
 public:
  std::string operator()(base::WallTime at) {
    const auto second = std::chrono::floor<std::chrono::seconds>(at);
    if (second != second_) {
      second_ = second;
      text_ = fmt::format("{:%H:%M:%S}", fmt::localtime(second.time_since_epoch().count()));
    }
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at - second).count();
    return fmt::format("{}.{:03}", text_, ms);
  }

 private:
  std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();
  std::string text_;
};

class Watch {
 public:
  Watch(const WatchOptions& options, Context& context)
      : options_(options), context_(context), language_(context.language()) {}
  int run();

 private:
  base::Status open();
  void tell_opened(const SocketLife& life);
  void tell_ended(const trace::EndedLife& ended);
  base::Status open_file();
  void record(recording::Recording recording, const trace::EndedLife& ended, std::string_view why);
  base::Status flush();  // lines and recordings
  void tell_losses();
  void tell_stats();
  [[nodiscard]] bool is_wanted(const SocketLife& life) const {
    return (!filter_ || filter_->fits(life.local, life.remote)) &&
           (!interface_ || interface_->fits(life.local, life.remote));
  }

  const WatchOptions& options_;
  Context& context_;
  Language language_;
  std::optional<capture::EndpointFilter> filter_;
  std::optional<observe::InterfaceAddresses> interface_;
  std::optional<trace::Probe> probe_;
  std::optional<trace::KernelSymbols> symbols_;
  std::optional<trace::LifeTracker> tracker_;
  std::optional<trace::LifeRecorder> recorder_;
  std::optional<OutputFile> file_;
  recording::Provenance provenance_;
  ClockTime clock_time_;
  std::vector<recording::Recording> recordings_;  // to be written with the lines
  std::string lines_;                             // written together: a write for each would cost more than the rest
  std::map<std::string, std::uint64_t> counts_;   // by the verdict's id
  std::uint64_t told_ = 0, told_lost_ = 0, told_given_up_ = 0, told_unrecorded_ = 0;
};

base::Status Watch::open() {
  if (!options_.filter.empty()) {
    std::string expression;
    for (const auto& word : options_.filter) expression += (expression.empty() ? "" : " ") + word;
    auto filter = capture::EndpointFilter::compile(expression);
    if (!filter) return std::unexpected(filter.error());
    filter_.emplace(std::move(*filter));
  }
  if (!options_.interface.empty()) {
    auto interface = observe::InterfaceAddresses::of(options_.interface);
    if (!interface) return std::unexpected(interface.error());
    interface_.emplace(std::move(*interface));
  }
  if (!options_.write_to.empty())
    if (auto opened = open_file(); !opened) return opened;
  trace::ProbeOptions asked = trace::probe_of_watch();
  asked.ring_bytes = options_.ring_bytes;
  auto probe = trace::Probe::open(asked);
  if (!probe) return std::unexpected(probe.error());
  probe_.emplace(std::move(*probe));
  if (auto symbols = trace::KernelSymbols::load()) symbols_.emplace(std::move(*symbols));
  tracker_.emplace(trace::LifeTrackerOptions{.reset_reasons = trace::kernel_enum("sk_rst_reason", "SK_RST_REASON_"),
                                             .symbols = symbols_ ? &*symbols_ : nullptr,
                                             .most_sockets = 1'000'000});
  if (auto attached = probe_->attach(); !attached) return attached;
  for (const trace::Lack& lack : probe_->lacks()) warn(lack.sentence);
  provenance_.observed = probe_->observes();
  auto sampler = trace::SocketSampler::open();
  if (!sampler) return std::unexpected(sampler.error());
  const auto sample = sampler->sample();
  if (!sample) return std::unexpected(sample.error());
  tracker_->begin(*sample, trace::find_socket_holders());
  return file_ ? file_->appear() : base::Status();  // it grows from now on
}

// A section of the file for each connection: each is a recording of its own.
base::Status Watch::open_file() {
  auto opened = OutputFile::open(options_.write_to, options_.overwrite);
  if (!opened) return std::unexpected(opened.error());
  file_.emplace(std::move(*opened));
  recorder_.emplace(trace::LifeRecorderOptions{.reset_reasons = trace::kernel_enum("sk_rst_reason", "SK_RST_REASON_")});
  provenance_.program = "tcpwhy " TCPWHY_VERSION;
  utsname name{};
  if (uname(&name) == 0)
    provenance_.host = name.nodename, provenance_.kernel = std::string(name.sysname) + " " + name.release;
  return {};
}

void Watch::record(recording::Recording recording, const trace::EndedLife& ended, std::string_view why) {
  recording.provenance = provenance_;
  recording.provenance.title =
      fmt::format("{} {} {}", ended.life.local, ended.life.opener ? "→" : "←", ended.life.remote);
  recording.events.push_back({ended.life.ended, {}, recording::Note{std::string(why), 0}});
  recording::sort_by_time(recording);
  recordings_.push_back(std::move(recording));
}

base::Status Watch::flush() {
  if (!lines_.empty()) context_.out.write(lines_);
  lines_.clear();
  if (recordings_.empty()) return {};
  const auto written = capfile::write_recordings(recordings_, file_->sink());
  recordings_.clear();
  return written;
}

void Watch::tell_opened(const SocketLife& life) {
  if (!options_.opened || !is_wanted(life)) return;
  const std::string who = name_of(life);
  if (options_.form == WatchForm::ndjson) {
    const nlohmann::ordered_json line{{"event", "opened"},
                                      {"at_ns", base::to_ns(life.opened)},
                                      {"socket", life.socket},
                                      {"local", wire::to_string(life.local)},
                                      {"remote", wire::to_string(life.remote)},
                                      {"pid", life.holder.pid},
                                      {"command", life.holder.command},
                                      {"opener", life.opener}};
    lines_ += base::escape_controls_in_json(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
    return;
  }
  lines_ += (fmt::format("{}  {} {} {} {}  opened\n", clock_time_(life.opened), who.empty() ? "?" : who,
                         wire::to_string(life.local), life.opener ? "→" : "←", wire::to_string(life.remote)));
}

void Watch::tell_ended(const trace::EndedLife& ended) {
  const SocketLife& life = ended.life;
  auto kept = recorder_ ? recorder_->take(ended) : recording::Recording();
  if (!is_wanted(life)) return;
  const auto verdict = explain::judge(life, ended.peer ? &*ended.peer : nullptr);
  ++counts_[std::string(verdict.row->id)];
  ++told_;
  if (options_.abnormal && !verdict.row->abnormal) return;
  if (options_.stats && !recorder_) return;
  const std::string who = name_of(life), peer = ended.peer ? name_of(*ended.peer) : std::string();
  const std::string local = wire::to_string(life.local), remote = wire::to_string(life.remote);
  const std::string why =
      explain::words(verdict, life.holder.pid != 0 ? life.holder.command : local,
                     ended.peer && ended.peer->holder.pid != 0 ? ended.peer->holder.command : remote, language_);
  if (recorder_) record(std::move(kept), ended, why);
  if (options_.stats) return;
  if (options_.form == WatchForm::ndjson) {
    constexpr const char* closers[] = {"nobody", "local", "remote", "both"};
    nlohmann::ordered_json line{{"event", "ended"},
                                {"at_ns", base::to_ns(life.ended)},
                                {"socket", life.socket},
                                {"local", local},
                                {"remote", remote},
                                {"pid", life.holder.pid},
                                {"command", life.holder.command},
                                {"opener", life.opener},
                                {"lasted_ns", (life.ended - life.opened).count()},
                                {"began_before_watching", life.began_before_watching},
                                {"bytes_sent", life.bytes_sent},
                                {"bytes_received", life.bytes_received},
                                {"retransmissions", life.retransmissions},
                                {"srtt_us", life.srtt_us},
                                {"closed_first", closers[static_cast<std::size_t>(verdict.first)]},
                                {"why", verdict.row->id},
                                {"abnormal", verdict.row->abnormal},
                                {"reset_reason", verdict.reason},
                                {"reset_cause", verdict.cause},
                                {"error", life.error},
                                {"words", why}};
    if (ended.peer) line["peer"] = {{"pid", ended.peer->holder.pid}, {"command", ended.peer->holder.command}};
    lines_ += base::escape_controls_in_json(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
    return;
  }
  const std::string at = clock_time_(life.ended), how_long = base::duration_in_tenths(life.ended - life.opened);
  const std::string sent = base::bytes_in_whole_units(life.bytes_sent),
                    received = base::bytes_in_whole_units(life.bytes_received);
  const std::string_view parts[] = {at,
                                    "  ",
                                    who.empty() ? std::string_view("?") : who,
                                    " ",
                                    local,
                                    life.opener ? " → " : " ← ",
                                    remote,
                                    peer.empty() ? "" : " ",
                                    peer,
                                    "  ",
                                    life.began_before_watching ? "> " : "",
                                    how_long,
                                    ", ↑",
                                    sent,
                                    " ↓",
                                    received};
  for (const std::string_view part : parts) lines_ += part;
  if (life.retransmissions != 0) lines_ += fmt::format(", {} retransmitted", life.retransmissions);
  lines_ += "  ";
  lines_ += why;
  lines_ += '\n';
}

void Watch::tell_losses() {
  if (const auto lost = probe_->lost_records(); lost > told_lost_) {
    warn(fmt::format("lost {} events: the probe's ring buffer was full (a larger --ring helps)", lost - told_lost_));
    told_lost_ = lost;
  }
  if (recorder_)
    if (const auto given_up = recorder_->given_up(); given_up > told_unrecorded_) {
      warn(fmt::format("{} sockets are not recorded whole: too many are alive at a time", given_up - told_unrecorded_));
      told_unrecorded_ = given_up;
    }
  if (const auto given_up = tracker_->given_up(); given_up > told_given_up_) {
    warn(fmt::format("{} connections are not told: too many are alive at a time", given_up - told_given_up_));
    told_given_up_ = given_up;
  }
}

void Watch::tell_stats() {
  std::string text = fmt::format("{} connections ended, {} alive\n", told_, tracker_->alive());
  for (const auto& [id, count] : counts_) text += fmt::format("{:>10}  {}\n", count, id);
  context_.out.write(text);
}

int Watch::run() {
  if (const auto opened = open(); !opened) return report(opened.error());
  const auto on_opened = [this](const SocketLife& life) { tell_opened(life); };
  base::Status written;
  const auto on_ended = [this, &written](trace::EndedLife&& ended) {
    tell_ended(ended);
    if (written && (lines_.size() >= most_line_bytes || recordings_.size() >= most_recordings)) written = flush();
  };
  const observe::StopOnSignals stop_on_signals;
  const auto begin = std::chrono::steady_clock::now();
  const auto over = [&] {
    return options_.seconds > 0 &&
           std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() >= options_.seconds;
  };
  auto told_stats = begin;
  trace::GiveWay way([this] { return probe_->fullness(); });
  const auto consume = [&](bool last) {
    // Everything that happened before is read then, however late we are.
    const base::WallTime now = base::wall_now() - trace::usual_hold_back;
    const auto clock = trace::wall_minus_monotonic();
    way.looked();
    const auto add = [&](std::span<const std::byte> record) {
      if (recorder_) recorder_->add(record, clock);
      tracker_->add(record, clock, on_opened, on_ended);
    };
    probe_->consume(add, trace::usual_hold_back);
    tracker_->tell_waiting(now, on_ended, last);
    if (written) written = flush();
  };
  while (!observe::StopOnSignals::requested() && !context_.out.closed() && !over() && written) {
    // Records don't wake us one by one: that would cost the programs that are watched.
    pollfd waiting{.fd = probe_->fd(), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, 50);
    consume(false);
    tell_losses();
    if (options_.stats && std::chrono::steady_clock::now() - told_stats >= 1s) {
      told_stats = std::chrono::steady_clock::now();
      tell_stats();
    }
  }
  probe_->detach();
  if (written) consume(true);
  tell_losses();
  if (const auto skipped = probe_->skipped_runs(); skipped > 0)
    warn(fmt::format("lost {} events: the kernel skipped a program that was running already on that processor",
                     skipped));
  if (options_.stats) tell_stats();
  if (file_ && written) written = file_->finish();
  return written ? 0 : report(written.error());
}

}  // namespace

void add_watch_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* watch =
      app.add_subcommand("watch", "The whole machine: each TCP connection when it ends, and why it did (root)");
  const auto options = std::make_shared<WatchOptions>();
  watch->add_option("FILTER", options->filter, "Only these connections, as tcpdump(1) is told: port 5432");
  watch->add_flag("--all", options->opened, "Also when a connection is opened");
  watch->add_flag("--abnormal", options->abnormal, "Only those that did not end well");
  watch->add_flag("--stats", options->stats, "Count the causes each second instead of telling each connection");
  watch->add_option("-i,--interface", options->interface,
                    "Only connections that go over this network interface, by their addresses");
  watch->add_option("-w,--write", options->write_to,
                    "Write what the kernel said of each connection that ends to this file, a pcapng section each");
  add_overwrite(*watch, options->overwrite);
  watch->add_option("--seconds", options->seconds, "Stop after so many; else with Ctrl-C");
  watch->add_option("--ring", options->ring_bytes, "Bytes of the probe's ring buffers together, a power of two")
      ->capture_default_str();
  add_choice(*watch, "-o,--output", options->form,
             Choices<WatchForm>{{"text", WatchForm::text}, {"ndjson", WatchForm::ndjson}},
             "A line of text for each, or a JSON document a line");
  add_settings(*watch, settings);
  watch->callback(
      [&chosen, options] { chosen = [options](Context& context) { return Watch(*options, context).run(); }; });
}

}  // namespace tcpwhy::cli
