// tcpwhy read: a recording, or any captures, from disk or standard input.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "capfile/recording/recording_io.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "cli/output/capture_view.h"
#include "cli/output/view.h"
#include "cli/read_connection.h"
#include "compat/tshark/table.h"
#include "compat/zeek/zeek.h"
#include "confine/confine.h"
#include "scan/packets/frame_reader.h"
#include "scan/packets/unread_links.h"

namespace tcpwhy::cli {
namespace {

// Whose output `read` gives instead of its own.
enum class Compatible : std::uint8_t { none, tshark, zeek };

struct ReadOptions {
  std::vector<std::string> words;  // files, then a filter
  std::vector<std::string> files;
  Compatible compatible = Compatible::none;
  View view;
  CaptureOptions capture;
  FailOn fail_on;
  ConnectionOptions connection;
};

struct Opened {
  std::unique_ptr<CaptureView> view;  // where the summary or a table may be what is shown
  OpenCaptures captures;
  std::optional<capfile::Input> calls;
};

// Packets as they come, in memory that does not grow with the file. What could be read is shown before the error.
int print_packets(const OpenCaptures& captures, const ReadOptions& options, Context& context) {
  auto reader = read_captures(captures, options.capture);
  if (!reader) return report(reader.error());
  PacketLines lines(options.view, context);
  scan::Frame frame;
  while (!context.out.closed()) {
    const auto more = reader->next(frame);
    if (!more) return report(more.error());
    if (!*more) break;
    lines.print({.link_type = frame.link_type,
                 .captured = frame.bytes,
                 .original_length = frame.original_length,
                 .at = frame.at});
  }
  return report_unread_links(reader->unread_links());
}

int print_tshark_table(const OpenCaptures& captures, const ReadOptions& options, Context& context) {
  auto frames = read_captures(captures, options.capture);
  if (!frames) return report(frames.error());
  const auto forgotten = compat::tshark::write_table(*frames,
                                                     [&context](std::string_view text) {
                                                       context.out.write(text);
                                                       return !context.out.closed();
                                                     },
                                                     {.seed = random_seed()});
  if (!forgotten) return report(forgotten.error());
  if (forgotten->connections > 0) {
    warn(fmt::format("{} connections were forgotten: too many lived at once; a later segment of one began a new stream",
                     forgotten->connections));
  }
  return report_unread_links(frames->unread_links());
}

int print_conn_log(const OpenCaptures& captures, const ReadOptions& options, Context& context) {
  auto reader = read_captures(captures, options.capture, compat::zeek::frame_options());
  if (!reader) return report(reader.error());
  const auto counts = compat::zeek::write_conn_log(
      *reader,
      [&context](std::string_view text) {
        context.out.write(text);
        return !context.out.closed();
      },
      random_seed());
  if (!counts) return report(counts.error());
  if (counts->evicted > 0) {
    warn(fmt::format("{} connections were written before their end: too many lived at once", counts->evicted));
  }
  return report_unread_links(reader->unread_links());
}

scan::UnreadLinks unread_links_of(std::span<const recording::Recording> recordings) {
  scan::UnreadLinks unread;
  for (const auto& recording : recordings) {
    for (const auto& event : recording.events) {
      if (const auto* packet = std::get_if<recording::Packet>(&event.what))
        unread.count(recording.interfaces[packet->interface.value].link_type);
    }
  }
  return unread;
}

int print_recordings(const OpenCaptures& captures, const ReadOptions& options, Context& context) {
  const auto outcome = capfile::read_recordings(captures.inputs.front());
  if (!outcome) return report(outcome.error());
  const auto explained = explain_all(outcome->recordings);
  show(explained, options.view.form, context);
  if (outcome->stopped_by) return report(*outcome->stopped_by);
  if (const int status = report_unread_links(unread_links_of(outcome->recordings)); status != 0) return status;
  return findings_status(explained, options.fail_on);
}

// `read A.pcap B.pcap port 443`: what names a file is one, up to the first word that does not; the rest is a filter.
void sort_words(ReadOptions& options) {
  const auto names_file = [](const std::string& word) { return word == "-" || access(word.c_str(), F_OK) == 0; };
  auto word = options.words.begin();
  options.files.push_back(*word++);  // if there is no such file, that is to be said
  while (word != options.words.end() && names_file(*word)) options.files.push_back(*word++);
  options.capture.filter = fmt::format("{}", fmt::join(word, options.words.end(), " "));
}

int show_one(const Opened& opened, const ReadOptions& options, Context& context) {
  const OpenCaptures& captures = opened.captures;
  const auto open = [&] {
    return read_captures(captures, options.capture, {.filter = {}, .teredo = false, .by_time = true});
  };
  const Captures choice{.open = open,
                        .names = fmt::format("{}", fmt::join(options.files, " ")),
                        .can_reopen = std::ranges::all_of(captures.inputs, &capfile::Input::is_regular),
                        .calls = opened.calls};
  return show_connection(choice, options.connection, options.view, context);
}

bool has_view(const ReadOptions& options) {
  const Form form = options.view.form;
  return options.compatible == Compatible::none && !options.connection.given() &&
         (form == Form::text || is_of_records(form));
}

// Nothing of what the files hold has been looked at when it returns.
base::Result<Opened> open_everything(const ReadOptions& options, Context& context) {
  Opened opened;
  if (!options.connection.calls.empty() && !options.connection.chosen())
    return base::fail(base::ErrorKind::usage, "--calls needs the connection to show", "--stream N or --conn ADDR:PORT");
  if (has_view(options)) {
    auto view = CaptureView::prepare(options.capture, options.view.form, options.fail_on, context);
    if (!view) return std::unexpected(std::move(view.error()));
    opened.view = std::move(*view);
  }
  auto captures = open_captures(options.files, options.capture);
  if (!captures) return std::unexpected(std::move(captures.error()));
  opened.captures = std::move(*captures);
  if (options.connection.calls.empty()) return opened;
  auto calls = capfile::Input::open(options.connection.calls);
  if (!calls) return std::unexpected(std::move(calls.error()));
  opened.calls = std::move(*calls);
  return opened;
}

base::Status give_up_rights(const Opened& opened) {
  const auto reopened = opened.view ? opened.view->reopened() : std::vector<int>();
  const auto leave = reopened.empty() ? confine::Leave::nothing : confine::Leave::reopening;
  if (const auto walls = confine::enter({.leave = leave, .reopened = reopened}); !walls)
    return std::unexpected(walls.error());
  return {};
}

int show_opened(const Opened& opened, const ReadOptions& options, Context& context) {
  const OpenCaptures& captures = opened.captures;
  const Form form = options.view.form;
  if (options.compatible == Compatible::tshark) return print_tshark_table(captures, options, context);
  if (options.compatible == Compatible::zeek) return print_conn_log(captures, options, context);
  if (options.connection.given()) return show_one(opened, options, context);
  if (form == Form::tcpdump) return print_packets(captures, options, context);
  const bool several = captures.inputs.size() > 1 || captures.filter;
  if (opened.view && (is_of_records(form) || several || !is_recording(captures.inputs.front())))
    return opened.view->show(captures);
  if (several)
    return report({base::ErrorKind::usage, fmt::format("read: -o {} takes one file, and no filter", row_of(form).name),
                   "-o ndjson, -o csv, -o parquet"});
  return print_recordings(captures, options, context);
}

int read_files(const ReadOptions& options, Context& context) {
  const auto opened = open_everything(options, context);
  if (!opened) return report(opened.error());
  if (const auto given_up = give_up_rights(*opened); !given_up) return report(given_up.error());
  return show_opened(*opened, options, context);
}

}  // namespace

void add_read_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* read = app.add_subcommand("read", "A recording of tcpwhy, or any capture file: what happened, and why");
  const auto options = std::make_shared<ReadOptions>();
  read->add_option(
      "FILE", options->words,
      "pcap, pcapng or snoop, plain, .gz or .zst; - is standard input; several are read as one, in order of time. "
      "Behind them a filter as tcpdump has it: 'port 443 and net 10/8'");
  add_view(*read, options->view, true);
  add_capture_options(*read, options->capture);
  add_fail_on(*read, options->fail_on);
  add_choice(*read, "--compat", options->compatible,
             Choices<Compatible>{{"tshark", Compatible::tshark}, {"zeek", Compatible::zeek}},
             "What another program prints of the capture: tshark's TCP analysis of each frame, or Zeek's conn.log");
  add_connection_options(*read, options->connection);
  add_settings(*read, settings);
  read->callback([&chosen, options] {
    chosen = [options](Context& context) {
      if (options->capture.list_fields) return show_fields(context);
      if (options->words.empty())
        return report({base::ErrorKind::usage, "read: which file?", "tcpwhy read FILE; - is standard input"});
      sort_words(*options);
      return read_files(*options, context);
    };
  });
}

}  // namespace tcpwhy::cli
