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

#include "base/format.h"
#include "capfile/recording/recording_io.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output/capture_view.h"
#include "cli/output/view.h"
#include "cli/read/read_connection.h"
#include "cli/read/read_options.h"
#include "cli/read/read_words.h"
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
  const CLI::App* command = nullptr;
  std::vector<std::string> given;  // files, then a filter
  ReadWords words;
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
  if (!reader) return captures.stop->report_unless_stopped(reader.error());
  PacketLines lines(options.view, context);
  scan::Frame frame;
  while (!context.out.closed()) {
    const auto more = reader->next(frame);
    if (!more) return captures.stop->report_unless_stopped(more.error());
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
  if (!frames) return captures.stop->report_unless_stopped(frames.error());
  const auto forgotten = compat::tshark::write_table(*frames,
                                                     [&context](std::string_view text) {
                                                       context.out.write(text);
                                                       return !context.out.closed();
                                                     },
                                                     {.seed = random_seed()});
  if (!forgotten) return captures.stop->report_unless_stopped(forgotten.error());
  if (forgotten->connections > 0) {
    warn(base::format(
        {"{} connections were forgotten: too many lived at once; a later segment of one began a new stream",
         "忘记了 {} 个连接：同时存在的太多；其后来的报文段会开始新的流"},
        forgotten->connections));
  }
  return report_unread_links(frames->unread_links());
}

int print_conn_log(const OpenCaptures& captures, const ReadOptions& options, Context& context) {
  auto reader = read_captures(captures, options.capture, compat::zeek::frame_options());
  if (!reader) return captures.stop->report_unless_stopped(reader.error());
  const auto counts = compat::zeek::write_conn_log(
      *reader,
      [&context](std::string_view text) {
        context.out.write(text);
        return !context.out.closed();
      },
      random_seed());
  if (!counts) return captures.stop->report_unless_stopped(counts.error());
  if (counts->evicted > 0) {
    warn(base::format({"{} connections were written before their end: too many lived at once",
                       "有 {} 个连接在结束前就已写出：同时存在的太多"},
                      counts->evicted));
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
  const bool of_packets_alone = options.view.form == Form::json && !is_recording(captures.inputs.front());
  if (of_packets_alone && options.fail_on)
    return report({base::ErrorKind::usage,
                   {"read: --fail-on with -o json takes a recording", "read：--fail-on 与 -o json 合用时只接受记录"},
                   {"a capture's problems: -o ndjson, -o findings, --stream N -o json",
                    "抓包的问题：-o ndjson、-o findings、--stream N -o json"}});
  const auto outcome = capfile::read_recordings(captures.inputs.front());
  captures.stop->reading_is_over();
  if (!outcome) return captures.stop->report_unless_stopped(outcome.error());
  auto explained = explain_all(outcome->recordings);
  if (of_packets_alone)
    for (explain::Explained& one : explained) explain::keep_what_packets_show(one.findings);
  show(explained, options.view.form, context, options.connection.all);
  if (outcome->stopped_by && !captures.stop->stopped()) return report(*outcome->stopped_by);
  if (const int status = report_unread_links(unread_links_of(outcome->recordings)); status != 0) return status;
  return findings_status(explained, options.fail_on);
}

bool names_file(const std::string& word) { return word == "-" || access(word.c_str(), F_OK) == 0; }

int show_one(const Opened& opened, const ReadOptions& options, Context& context) {
  const OpenCaptures& captures = opened.captures;
  const auto open = [&] {
    return read_captures(captures, options.capture, {.filter = {}, .teredo = false, .by_time = true});
  };
  const Captures choice{.open = open,
                        .names = fmt::format("{}", fmt::join(options.words.files, " ")),
                        .can_reopen = std::ranges::all_of(captures.inputs, &capfile::Input::is_regular),
                        .calls = opened.calls,
                        .most_connections = options.capture.most_connections,
                        .stop = *captures.stop};
  return show_connection(choice, options.connection, options.view, options.fail_on, context);
}

// What is shown of one connection, or in another program's form; text of a recording is something else than text of a capture.
Shown shown_of_one(Form form) {
  return form == Form::tcpdump ? Shown::connection_packets
         : form == Form::json  ? Shown::connection_json
                               : Shown::connection;
}
Shown shown_by(const ReadOptions& options, bool recording) {
  const Form form = options.view.form;
  if (options.capture.list_fields) return Shown::fields;
  if (options.compatible != Compatible::none)
    return options.compatible == Compatible::tshark ? Shown::tshark : Shown::zeek;
  if (options.connection.chosen()) return shown_of_one(form);
  const bool grouped = !options.capture.by.empty();
  switch (form) {
    case Form::tcpdump: return Shown::packets;
    case Form::strace: return Shown::calls;
    case Form::findings: return recording ? Shown::findings : Shown::problems;
    case Form::json: return grouped ? Shown::records_of_groups : Shown::document;
    case Form::ndjson:
    case Form::csv: return grouped ? Shown::records_of_groups : Shown::records;
    case Form::parquet: return Shown::records;
    case Form::text: break;
  }
  if (grouped) return Shown::groups;
  if (options.capture.ask_for_table()) return Shown::table;
  const bool several = options.words.files.size() > 1 || !options.words.filter.empty();
  return recording && !several && !options.capture.ask_for_connections() ? Shown::timeline : Shown::summary;
}

// Nothing of what the files hold has been looked at when it returns.
base::Result<Opened> open_everything(const ReadOptions& options, Context& context) {
  Opened opened;
  if (!options.connection.calls.empty() && !options.connection.chosen())
    return base::fail(base::ErrorKind::usage, {"--calls needs the connection to show", "--calls 需要指明显示哪个连接"},
                      {"--stream N or --conn ADDR:PORT", "--stream N 或 --conn ADDR:PORT"});
  const Shown possible[] = {shown_by(options, false), shown_by(options, true)};
  if (auto fits = check_read_options(*options.command, possible); !fits) return std::unexpected(fits.error());
  if (is_of_connections(possible[0])) {
    auto view = CaptureView::prepare(options.capture, options.view.form, options.fail_on, context);
    if (!view) return std::unexpected(std::move(view.error()));
    opened.view = std::move(*view);
  }
  auto captures = open_captures(options.words.files, options.capture);
  if (!captures) {
    const bool of_filter = captures.error().kind == base::ErrorKind::usage && !options.words.filter.empty();
    return std::unexpected(of_filter ? explain_filter(captures.error(), options.words, names_file) : captures.error());
  }
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

int show_opened(Opened& opened, const ReadOptions& options, Context& context) {
  OpenCaptures& captures = opened.captures;
  const Form form = options.view.form;
  // Text and findings of a recording are other things than those of a capture.
  const bool may_be_recording = opened.view && (form == Form::text || form == Form::findings);
  const bool recording = may_be_recording && is_recording(captures.inputs.front());
  const Shown shown = shown_by(options, recording);
  if (const auto fits = check_read_options(*options.command, {&shown, 1}); !fits) return report(fits.error());
  const bool reads_at_once = is_of_recording(shown);
  if (reads_at_once && (captures.inputs.size() > 1 || captures.filter))
    return report(
        {base::ErrorKind::usage,
         base::format({"read: -o {} takes one file, and no filter", "read：-o {} 只接受一个文件，且不能有过滤器"},
                      row_of(form).name),
         base::both("-o ndjson, -o csv, -o parquet")});
  // A recording in a file is read in no time; explaining it can't be cut short.
  if (!reads_at_once || !captures.inputs.front().is_regular()) captures.read_until_signal();
  const auto status = [&] {
    switch (shown) {
      case Shown::tshark: return print_tshark_table(captures, options, context);
      case Shown::zeek: return print_conn_log(captures, options, context);
      case Shown::connection:
      case Shown::connection_json:
      case Shown::connection_packets: return show_one(opened, options, context);
      case Shown::packets: return print_packets(captures, options, context);
      case Shown::timeline:
      case Shown::document:
      case Shown::findings:
      case Shown::calls: return print_recordings(captures, options, context);
      default: return opened.view->show(captures);
    }
  };
  return captures.stop->finish(status());
}

int read_files(const ReadOptions& options, Context& context) {
  auto opened = open_everything(options, context);
  if (!opened) return report(opened.error());
  if (const auto given_up = give_up_rights(*opened); !given_up) return report(given_up.error());
  return show_opened(*opened, options, context);
}

int list_fields(const ReadOptions& options, Context& context) {
  const Shown shown = Shown::fields;
  if (const auto fits = check_read_options(*options.command, {&shown, 1}); !fits) return report(fits.error());
  return show_fields(context);
}

}  // namespace

void add_read_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* read = app.add_subcommand(
      "read", description({"A recording of tcpwhy, or any capture file: what happened, and why",
                           "tcpwhy 的记录，或任何抓包文件：发生了什么，为什么"},
                          {{"tcpwhy read x.pcap", {"what is in it, and what is wrong", "其中有什么，哪里有问题"}},
                           {"tcpwhy read x.pcap --conn 10.0.0.1:443",
                            {"one connection: each segment, and why", "一个连接：每个报文段及其原因"}},
                           {"tcpwhy read x.pcap --where reset --by server",
                            {"those that were reset, in groups", "被复位的连接，按服务器分组"}}}));
  const auto options = std::make_shared<ReadOptions>();
  read->add_option(
      "FILE", options->given,
      said(
          {"pcap, pcapng or snoop, plain or compressed (gzip, zstd, xz, bzip2, LZ4); - is standard input; several are read as one, "
           "in order of time. Behind them a filter as tcpdump has it: 'port 443 and net 10/8'",
           "pcap、pcapng 或 snoop，可以压缩（gzip、zstd、xz、bzip2、LZ4）；- 表示标准输入；多个文件按时间顺序合为一个读取。"
           "其后可写 tcpdump 写法的过滤器：'port 443 and net 10/8'"}));
  add_view(*read, options->view, true);
  add_capture_options(*read, options->capture);
  add_fail_on(*read, options->fail_on);
  add_choice(*read, "--compat", options->compatible,
             Choices<Compatible>{{"tshark", Compatible::tshark}, {"zeek", Compatible::zeek}},
             {"What another program prints of the capture: tshark's TCP analysis of each frame, or Zeek's conn.log",
              "另一个程序会如何输出该抓包：tshark 对每帧的 TCP 分析，或 Zeek 的 conn.log"});
  add_connection_options(*read, options->connection);
  add_settings(*read, settings);
  options->command = read;
  read->callback([&chosen, options] {
    chosen = [options](Context& context) {
      if (options->capture.list_fields) return list_fields(*options, context);
      if (options->given.empty())
        return report({base::ErrorKind::usage,
                       {"read: which file?", "read：读取哪个文件？"},
                       {"tcpwhy read FILE; - is standard input", "tcpwhy read FILE；- 表示标准输入"}});
      options->words = sort_words(options->given, names_file);
      options->capture.filter = options->words.filter;
      return read_files(*options, context);
    };
  });
}

}  // namespace tcpwhy::cli
