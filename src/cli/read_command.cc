// tcpwhy read: a recording, or any capture file, from disk or standard input.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>

#include "capfile/reader.h"
#include "capfile/recording_io.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "cli/view.h"
#include "scan/compat/tshark_table.h"
#include "scan/compat/zeek.h"
#include "scan/frame_reader.h"

namespace tcpwhy::cli {
namespace {

// Whose output `read` gives instead of its own.
enum class Compatible : std::uint8_t { none, tshark, zeek };

struct ReadOptions {
  std::string file;
  Compatible compatible = Compatible::none;
  View view;
  FailOn fail_on;
};

// Packets as they come, in memory that does not grow with the file. What could be read is shown before the error.
int print_packets(const std::string& file, const View& view, Context& context) {
  auto reader = capfile::CaptureReader::open(file);
  if (!reader) return report(reader.error());
  PacketLines lines(view, context);
  while (!context.out.closed()) {
    const auto record = reader->next();
    if (!record) return report(record.error());
    if (!*record) break;
    const auto* packet = std::get_if<capfile::PacketRecord>(&**record);
    if (packet == nullptr) continue;
    lines.print({.link_type = reader->interfaces()[packet->interface].interface.link_type,
                 .captured = packet->bytes,
                 .original_length = packet->original_length,
                 .at = packet->at});
  }
  return 0;
}

int print_tshark_table(const std::string& file, Context& context) {
  auto frames = scan::FrameReader::open(file);
  if (!frames) return report(frames.error());
  const auto forgotten = scan::tshark::write_table(*frames, [&context](std::string_view text) {
    context.out.write(text);
    return !context.out.closed();
  });
  if (!forgotten) return report(forgotten.error());
  if (forgotten->connections > 0) {
    warn(fmt::format("{} connections were forgotten: too many lived at once; a later segment of one began a new stream",
                     forgotten->connections));
  }
  return 0;
}

int print_conn_log(const std::string& file, Context& context) {
  auto reader = scan::FrameReader::open(file, scan::zeek::frame_options());
  if (!reader) return report(reader.error());
  const auto counts = scan::zeek::write_conn_log(*reader, [&context](std::string_view text) {
    context.out.write(text);
    return !context.out.closed();
  });
  if (!counts) return report(counts.error());
  if (counts->evicted > 0) {
    warn(fmt::format("{} connections were written before their end: too many lived at once", counts->evicted));
  }
  return 0;
}

bool has_calls(const recording::Recording& recording) {
  return std::ranges::any_of(recording.events, [](const recording::Event& event) {
    return std::holds_alternative<recording::CallEntered>(event.what);
  });
}

int print_recordings(const ReadOptions& options, Context& context) {
  const auto outcome = capfile::read_recordings(options.file);
  if (!outcome) return report(outcome.error());
  const auto explained = explain_all(outcome->recordings);
  if (options.view.form == Form::text && std::ranges::none_of(outcome->recordings, has_calls)) {
    PacketLines lines(options.view, context);
    for (const auto& recording : outcome->recordings) lines.print(recording);
  } else {
    show(explained, options.view.form, context);
  }
  if (outcome->stopped_by) return report(*outcome->stopped_by);
  return findings_status(explained, options.fail_on);
}

}  // namespace

void add_read_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* read = app.add_subcommand("read", "A recording of tcpwhy, or any capture file: what happened, and why");
  const auto options = std::make_shared<ReadOptions>();
  read->add_option("FILE", options->file, "pcap, pcapng or snoop, plain, .gz or .zst; - is standard input")->required();
  add_view(*read, options->view);
  add_fail_on(*read, options->fail_on);
  add_choice(*read, "--compat", options->compatible,
             Choices<Compatible>{{"tshark", Compatible::tshark}, {"zeek", Compatible::zeek}},
             "What another program prints of the capture: tshark's TCP analysis of each frame, or Zeek's conn.log");
  add_settings(*read, settings);
  read->callback([&chosen, options] {
    chosen = [options](Context& context) {
      if (options->compatible == Compatible::tshark) return print_tshark_table(options->file, context);
      if (options->compatible == Compatible::zeek) return print_conn_log(options->file, context);
      return options->view.form == Form::tcpdump ? print_packets(options->file, options->view, context)
                                                 : print_recordings(*options, context);
    };
  });
}

}  // namespace tcpwhy::cli
