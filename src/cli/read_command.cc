// tcpwhy read: a recording, or any capture file, from disk or standard input.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>

#include "capfile/reader.h"
#include "capfile/recording_io.h"
#include "cli/capture_view.h"
#include "cli/command.h"
#include "cli/view.h"

namespace tcpwhy::cli {
namespace {

struct ReadOptions {
  std::string file;
  View view;
  CaptureOptions capture;
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

int print_recordings(const ReadOptions& options, Context& context) {
  const auto outcome = capfile::read_recordings(options.file);
  if (!outcome) return report(outcome.error());
  const auto explained = explain_all(outcome->recordings);
  show(explained, options.view.form, context);
  if (outcome->stopped_by) return report(*outcome->stopped_by);
  return findings_status(explained, options.fail_on);
}

int read_file(const ReadOptions& options, Context& context) {
  const auto& [file, view, capture, fail_on] = options;
  if (capture.list_fields) return show_fields(context);
  if (file.empty())
    return report({base::ErrorKind::usage, "read: which file?", "tcpwhy read FILE; - is standard input"});
  if (view.form == Form::tcpdump) return print_packets(file, view, context);
  const bool tables = view.form == Form::ndjson || view.form == Form::csv;
  if (tables || (view.form == Form::text && !is_recording(file)))
    return show_capture(file, capture, view.form, fail_on, context);
  return print_recordings(options, context);
}

}  // namespace

void add_read_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* read = app.add_subcommand("read", "A recording of tcpwhy, or any capture file: what happened, and why");
  const auto options = std::make_shared<ReadOptions>();
  read->add_option("FILE", options->file, "pcap or pcapng, plain, .gz or .zst; - is standard input");
  add_view(*read, options->view, true);
  add_capture_options(*read, options->capture);
  add_fail_on(*read, options->fail_on);
  add_settings(*read, settings);
  read->callback([&chosen, options] { chosen = [options](Context& context) { return read_file(*options, context); }; });
}

}  // namespace tcpwhy::cli
