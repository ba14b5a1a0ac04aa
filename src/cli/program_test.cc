// The program as its users meet it: command lines of a shell, their output and exit status.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "base/testing/data.h"
#include "base/unique_fd.h"
#include "capfile/capture_builder.h"
#include "capfile/input/packed_testing.h"
#include "cli/testing/program_fixture.h"
#include "confine/confine.h"
#include "wire/packet_builder.h"

namespace tcpwhy::cli {
namespace {

namespace fs = std::filesystem;
using testing::Program;
using testing::slurp;

// ---- usage: exit status 2, one line, a hint

TEST_F(Program, mistakes_in_the_arguments_are_usage_errors) {
  for (const auto* arguments : {"", "nonsense", "lab --nonsense", "lab -o nonsense", "read", "read x port nonsense",
                                "lab --lang fr", "lab --width 3", "lab no-such-scenario", "lab --ipv6 --v4-mapped",
                                "read --compat nonsense x", "help nonsense"}) {
    const auto ran = sh(fmt::format("$tcpwhy {}", arguments));
    EXPECT_EQ(ran.status, 2) << arguments << ran.err;
    if (*arguments != '\0') {
      EXPECT_TRUE(ran.err.starts_with("tcpwhy: error: ")) << arguments << ran.err;
      EXPECT_NE(ran.err.find("tcpwhy: hint: "), std::string::npos) << arguments << ran.err;
    }
  }
}

TEST_F(Program, help_and_version_go_to_standard_output) {
  for (const auto* command : {"lab", "server", "client", "read", "doctor"}) {
    const auto ran = sh(fmt::format("$tcpwhy help {}", command));
    EXPECT_EQ(ran.status, 0);
    EXPECT_NE(ran.out.find(fmt::format("Usage: tcpwhy {} ", command)), std::string::npos) << ran.out;
    EXPECT_EQ(sh(fmt::format("$tcpwhy {} --help", command)).out, ran.out);
    EXPECT_NE(sh("$tcpwhy help").out.find(fmt::format("\n  {} ", command)), std::string::npos);
  }
  EXPECT_EQ(sh("$tcpwhy --version").out, "tcpwhy " TCPWHY_VERSION "\n");
}

// ---- unreadable input: exit status 3, what could be read is shown

TEST_F(Program, an_input_that_cannot_be_read_has_status_3) {
  for (const auto& input :
       {std::string("/nonexistent.pcap"), std::string("/dev/null"), write("text", "no capture at all\n")}) {
    for (const auto* form : {"-o text", "-o tcpdump", "-o json", "--compat zeek", "--compat tshark"}) {
      const auto ran = sh(fmt::format("$tcpwhy read {} {}", form, input));
      EXPECT_EQ(ran.status, 3) << input;
      EXPECT_EQ(ran.out, "") << input;
      EXPECT_EQ(std::ranges::count(ran.err.substr(0, ran.err.find("tcpwhy: hint")), '\n'), 1) << ran.err;
    }
  }
}

TEST_F(Program, a_capture_that_is_cut_shows_what_is_left_of_it) {
  NEEDS_LAB();
  ASSERT_EQ(sh("$tcpwhy lab 1-open/handshake -w " + file("whole.pcapng")).status, 0);
  fs::resize_file(file("whole.pcapng"), fs::file_size(file("whole.pcapng")) - 10);
  for (const auto* form : {"-o text", "-o tcpdump", "-o json", "--compat zeek", "--compat tshark"}) {
    const auto ran = sh(fmt::format("$tcpwhy read {} {}", form, file("whole.pcapng")));
    EXPECT_EQ(ran.status, 3) << form;
    EXPECT_NE(ran.out, "") << form;
    EXPECT_TRUE(ran.err.starts_with("tcpwhy: error: ")) << ran.err;
  }
}

// A capture with the link type (of its file header) that is asked for, else as the file is.
std::string with_link_type(const std::filesystem::path& capture, std::uint8_t link_type) {
  std::string bytes = slurp(capture);
  constexpr std::size_t link_type_at = 20;  // little-endian
  bytes[link_type_at] = static_cast<char>(link_type);
  return bytes;
}

TEST_F(Program, a_capture_of_a_link_type_that_is_not_known_has_status_3_and_says_which) {
  const auto docsis = write("docsis.pcap", with_link_type(base::testing::own_data("links/cisco-hdlc.pcap"), 143));
  for (const auto* form : {"", "--table", "--stream 0", "--conn 80", "-o csv", "-o ndjson", "-o json", "-o strace",
                           "-o tcpdump", "--compat zeek", "--compat tshark"}) {
    const auto ran = sh(fmt::format("$tcpwhy read {} {}", form, docsis));
    EXPECT_EQ(ran.status, 3) << form;
    EXPECT_NE(ran.err.find("8 packets of a link type that is not known: DOCSIS (143)"), std::string::npos)
        << form << ran.err;
  }
  EXPECT_NE(sh("$tcpwhy read " + docsis).out.find("\n8 packets of a link type that is not known: DOCSIS (143)\n"),
            std::string::npos);
  EXPECT_NE(sh("$tcpwhy read --lang zh " + docsis).out.find("\n8 个报文的链路类型未知：DOCSIS (143)\n"),
            std::string::npos);
}

TEST_F(Program, packets_of_a_link_type_that_is_not_known_beside_others_are_a_warning) {
  const auto hdlc = base::testing::own_data("links/cisco-hdlc.pcap").string();
  const auto docsis = write("docsis.pcap", with_link_type(hdlc, 143)),
             mine = write("mine.pcap", with_link_type(hdlc, 147));
  const auto files = fmt::format("{} {} {}", hdlc, docsis, mine);
  const std::string said = "16 packets of link types that are not known: DOCSIS (143), USER0 (147)";
  const auto summary = sh("$tcpwhy read " + files);
  EXPECT_EQ(summary.status, 0) << summary.err;
  EXPECT_NE(summary.out.find("24 packets, 8 of them TCP"), std::string::npos) << summary.out;
  EXPECT_NE(summary.out.find(said), std::string::npos) << summary.out;
  EXPECT_EQ(summary.err, "") << "the summary has it";
  for (const auto* form : {"--table", "-o csv", "-o ndjson", "-o tcpdump"}) {
    const auto ran = sh(fmt::format("$tcpwhy read {} {}", form, files));
    EXPECT_EQ(ran.status, 0) << form;
    EXPECT_EQ(ran.err, "tcpwhy: warning: " + said + "\n") << form;
    EXPECT_EQ(ran.out.find("not known"), std::string::npos) << form;
  }
}

TEST_F(Program, captures_of_other_links_are_read_and_printed) {
  for (const auto* name : {"cisco-hdlc", "nflog"}) {
    const auto file = base::testing::own_data(fmt::format("links/{}.pcap", name)).string();
    const auto summary = sh("$tcpwhy read " + file);
    EXPECT_EQ(summary.status, 0);
    EXPECT_EQ(summary.err, "");
    EXPECT_NE(summary.out.find("8 packets, 8 of them TCP"), std::string::npos) << summary.out;
    EXPECT_NE(summary.out.find("1 connection, 1300 B of payload: 1 sound, 0 with something wrong"), std::string::npos)
        << summary.out;
    const auto lines = sh("$tcpwhy read -t -o tcpdump " + file);
    EXPECT_EQ(std::ranges::count(lines.out, '\n'), 8);
    EXPECT_TRUE(lines.out.starts_with(
        "IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [S], seq 1000, win 64240, options [mss 1460], length 0\n"))
        << lines.out;
  }
}

// ---- what other programs print

TEST_F(Program, a_handshake_in_zeeks_words) {
  NEEDS_LAB();
  ASSERT_EQ(sh("$tcpwhy lab 1-open/handshake -w " + file("x.pcapng")).status, 0);
  const auto ran = sh("$tcpwhy read --compat zeek " + file("x.pcapng"));
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_NE(ran.out.find("\n#fields\tts\tuid\tid.orig_h\t"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("\tShA"), std::string::npos) << ran.out;
}

// ---- a reader that goes away, a disk that is full

TEST_F(Program, a_closed_pipe_ends_it_quietly) {
  const auto ran = sh("{ $tcpwhy doctor -o json; echo status $? >&2; } | true");
  EXPECT_EQ(ran.err, "status 0\n");
}

TEST_F(Program, a_full_disk_is_said) {
  const auto ran = sh("$tcpwhy help >/dev/full");
  EXPECT_EQ(ran.status, 4);
  EXPECT_EQ(ran.err, "tcpwhy: error: writing the output: No space left on device\n");
}

// ---- lab

TEST_F(Program, a_recording_read_back_shows_what_the_live_run_showed) {
  NEEDS_LAB();
  const auto live = sh("$tcpwhy lab -w " + file("x.pcapng"));
  ASSERT_EQ(live.status, 0) << live.err;
  EXPECT_EQ(sh("$tcpwhy read " + file("x.pcapng")).out, live.out);
  const auto packets = sh("TZ=UTC $tcpwhy read -o tcpdump " + file("x.pcapng")).out;
  EXPECT_GT(std::ranges::count(packets, '\n'), 100);
  if (sh("command -v tcpdump").status == 0) {
    EXPECT_EQ(packets, sh("TZ=UTC tcpdump -n -r " + file("x.pcapng") + " 2>/dev/null").out);
  }
}

TEST_F(Program, the_tcpdump_view_of_experiments_is_what_tcpdump_prints) {
  NEEDS_LAB();
  if (sh("command -v tcpdump").status != 0) GTEST_SKIP() << "tcpdump is not installed";
  for (const std::string family : {"", "--ipv6"}) {
    const auto capture = file("lab" + family + ".pcapng");
    ASSERT_EQ(sh(fmt::format("$tcpwhy lab {} -w {}", family, capture)).status, 0);
    for (const std::string options : {"", "-S", "-e", "-t", "-tt", "-ttt", "-tttt", "-e -S -tt"}) {
      const auto ours = sh(fmt::format("$tcpwhy read {} -o tcpdump {}", capture, options));
      const auto theirs = sh(fmt::format("tcpdump -n {} -r {}", options, capture));
      ASSERT_EQ(theirs.status, 0) << theirs.err;
      EXPECT_GT(std::ranges::count(theirs.out, '\n'), 100);
      EXPECT_EQ(ours.out, theirs.out) << family << " " << options;
    }
  }
}

TEST_F(Program, json_is_one_document_whatever_the_language) {
  NEEDS_LAB();
  const auto english = nlohmann::json::parse(sh("$tcpwhy lab 5 -o json").out);
  const auto chinese = nlohmann::json::parse(sh("LC_ALL=zh_CN.UTF-8 $tcpwhy lab 5 -o json").out);
  EXPECT_EQ(english.at("language"), "en");
  EXPECT_EQ(chinese.at("language"), "zh");
  EXPECT_EQ(english.at("recordings").size(), chinese.at("recordings").size());
}

TEST_F(Program, a_line_that_does_not_hold_is_shown_beside_what_happened) {
  NEEDS_LAB();
  const auto path =
      write("wrong.tcp", "title Wrong\n\nserver listen(9999)\nclient connect(server)\nclient send(\"hi\") ! EPIPE\n");
  const auto ran = sh("$tcpwhy lab " + path);
  EXPECT_EQ(ran.status, 1);
  EXPECT_NE(ran.err.find(path + ":5: expected ! EPIPE, but "), std::string::npos) << ran.err;
  EXPECT_NE(ran.out.find("EPIPE"), std::string::npos) << ran.out;
}

TEST_F(Program, a_mistake_in_a_scenario_names_line_and_column) {
  const auto path = write("typo.tcp", "title Typo\n\nserver listne(9999)\n");
  const auto ran = sh("$tcpwhy lab " + path);
  EXPECT_EQ(ran.status, 2);
  EXPECT_TRUE(ran.err.starts_with("tcpwhy: error: " + path + ":3:8: ")) << ran.err;
}

// What a user without privileges sees of a run: rules, and which experiment they were found in.
std::vector<std::string> findings_of(const std::string& document) {
  std::vector<std::string> findings;
  const auto report = nlohmann::json::parse(document);
  for (const auto& recording : report.at("recordings")) {
    for (const auto& finding : recording.at("findings")) {
      findings.push_back(fmt::format("{} {}", recording.at("provenance").at("title").get<std::string>(),
                                     finding.at("rule").get<std::string>()));
    }
  }
  std::ranges::sort(findings);
  return findings;
}

TEST_F(Program, without_root_the_same_is_found) {
  NEEDS_LAB();
  if (getuid() != 0) GTEST_SKIP() << "not root: there is nothing to compare with";
  fs::copy_file(TCPWHY_PROGRAM, file("tcpwhy"));  // the build folder may be closed to others
  // The kernel's hooks miss a timer-driven event now and then, and a busy machine delays an ACK: what differs three times is a fault.
  std::vector<std::string> by_nobody, by_root;
  for (int attempt = 0; attempt < 3 && (attempt == 0 || by_nobody != by_root); ++attempt) {
    const auto as_nobody = sh("su nobody -s /bin/sh -c '" + file("tcpwhy") + " lab -o json'");
    if (as_nobody.status == 4) GTEST_SKIP() << as_nobody.err;
    ASSERT_EQ(as_nobody.status, 0) << as_nobody.err;
    by_nobody = findings_of(as_nobody.out);
    by_root = findings_of(sh("$tcpwhy lab -o json").out);
  }
  EXPECT_EQ(by_nobody, by_root);
}

TEST_F(Program, who_ignores_sigpipe_sees_the_same) {
  NEEDS_LAB();
  const auto ran = sh("trap '' PIPE; $tcpwhy lab 7");
  EXPECT_EQ(ran.status, 0) << ran.err;
}

TEST_F(Program, refused_namespaces_say_which_setting_and_how_to_go_on) {
  const auto setting = std::string("/proc/sys/user/max_net_namespaces");
  if (sh("unshare -Ur sh -c 'echo 0 >" + setting + "'").status != 0) GTEST_SKIP() << "cannot forbid namespaces here";
  const auto ran = sh("unshare -Ur sh -c 'echo 0 >" + setting + "; " TCPWHY_PROGRAM " lab 1'");
  EXPECT_EQ(ran.status, 4) << ran.err;
  EXPECT_NE(ran.err.find("user.max_net_namespaces = 0"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("tcpwhy: hint: "), std::string::npos) << ran.err;
  EXPECT_EQ(std::ranges::count(ran.err, '\n'), 2) << "once, not once for every experiment: " << ran.err;
}

// Processes whose environment has this line.
std::vector<int> processes_with(const std::string& environment_line) {
  std::vector<int> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (!std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) continue;
    if (slurp(entry.path() / "environ").find(environment_line) != std::string::npos) pids.push_back(std::stoi(name));
  }
  return pids;
}

TEST_F(Program, an_interrupt_leaves_nothing_behind) {
  NEEDS_LAB();
  const auto mark = "TCPWHY_TEST_MARK=" + folder_.filename().string();
  const auto path = write(
      "waits.tcp",
      "title Waits\nlimit 40s\nlimit step 30s\n\nserver listen(9999)\nserver accept() ...\nserver ... accept() = 1\n");
  // The signal is sent once processes of the experiment are there, beside the program and the grep that looks for them.
  const auto ran = sh("export " + mark + "; $tcpwhy lab " + path + " & pid=$!; until [ \"$(grep -l -a -s " + mark +
                      " /proc/[0-9]*/environ | wc -l)\" -ge 4 ]; do :; done; kill -TERM $pid; wait $pid");
  EXPECT_EQ(ran.status, 128 + SIGTERM) << ran.err;
  EXPECT_EQ(processes_with(mark), std::vector<int>());
}

// ---- doctor

TEST_F(Program, doctor_answers_every_question_in_both_languages) {
  const auto english = nlohmann::json::parse(sh("$tcpwhy doctor -o json").out);
  const auto chinese = nlohmann::json::parse(sh("$tcpwhy doctor -o json --lang zh").out);
  EXPECT_EQ(english.at("schema"), "tcpwhy-doctor/1");
  ASSERT_EQ(english.at("probes").size(), chinese.at("probes").size());
  for (std::size_t i = 0; i < english.at("probes").size(); ++i) {
    const auto& one = english.at("probes").at(i);
    EXPECT_EQ(one.at("id"), chinese.at("probes").at(i).at("id"));
    EXPECT_NE(one.at("needed_for"), "") << one.at("id");
    EXPECT_NE(one.at("found"), "") << one.at("id");
    EXPECT_NE(chinese.at("probes").at(i).at("found"), "") << one.at("id");
    EXPECT_TRUE(one.at("answer") != "no" || one.contains("how_to_get_it")) << one.at("id");
  }
}

// ---- what reads other people's files

std::string syn_from(std::uint16_t port) {
  const auto frame = wire::testing::ethernet(
      0x0800, wire::testing::ipv4({}, wire::testing::tcp({.source_port = port, .ack = 0, .flags = 2})));
  return {frame.begin(), frame.end()};
}

std::string capture() { return std::string(TCPWHY_SOURCE_DIR) + "/fuzz/corpus/capture/pcapng-little"; }

TEST_F(Program, reads_captures_without_rights) {
  if (!confine::has_walls) GTEST_SKIP() << "a build with sanitizers";
  // It waits for the FIFO's first byte, and is confined by then.
  const auto ran =
      sh(fmt::format("mkfifo {0}; $tcpwhy read {0} & exec 9>{0}; n=0; "
                     "until grep -q '^Seccomp:.2' /proc/$!/status || [ $n -gt 1000 ]; do sleep 0.01; n=$((n+1)); done; "
                     "cat /proc/$!/status; exec 9>&-; wait $!",
                     file("fifo")));
  EXPECT_EQ(ran.status, 3) << "an empty capture";
  for (const auto* line :
       {"\nSeccomp:\t2\n", "\nNoNewPrivs:\t1\n", "\nCapPrm:\t0000000000000000\n", "\nCapEff:\t0000000000000000\n"})
    EXPECT_NE(ran.out.find(line), std::string::npos) << line << ran.out;
  if (geteuid() != 0) return;
  EXPECT_EQ(ran.out.find("\nUid:\t0\t"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("\nGroups:\t \n"), std::string::npos) << ran.out;
}

TEST_F(Program, reads_what_only_its_user_may) {
  const auto open = sh("$tcpwhy read " + capture());
  EXPECT_EQ(open.status, 0) << open.err;
  const auto private_copy = file("private/capture");
  ASSERT_EQ(sh(fmt::format("mkdir -m 700 {}; install -m 600 {} {}", file("private"), capture(), private_copy)).status,
            0);
  for (const auto* view : {"", "--threads 3 -o csv", "-o tcpdump", "-o json", "--compat zeek", "--compat tshark",
                           "--stream 0", "tcp port domain or host 127.0.0.1"}) {
    const auto ran = sh(fmt::format("$tcpwhy read {} {}", private_copy, view));
    EXPECT_LE(ran.status, 3) << view << ran.err;
    EXPECT_EQ(ran.err.find("Permission denied"), std::string::npos) << view << ran.err;
  }
}

// Connections come in the order in which threads are done with them.
std::vector<std::string> sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::ranges::sort(lines);
  return lines;
}

// Of two megabytes and more, so that a thread unpacks it, which the confinement must let begin. Through a pipe there is none.
TEST_F(Program, compressed_captures_say_what_the_plain_one_says) {
  capfile::testing::CaptureBuilder builder;
  builder.pcap_header();
  for (std::uint32_t i = 0; i < 40'000; ++i) {
    const auto syn = syn_from(static_cast<std::uint16_t>(1024 + i % 60'000));
    builder.pcap_packet(1 + i / 1000, i, syn, static_cast<std::uint32_t>(syn.size()));
  }
  const auto bytes = builder.bytes();
  const auto save = [&](const std::string& name, std::span<const std::uint8_t> what) {
    return write(name, std::string(what.begin(), what.end()));
  };
  const auto plain = sh("$tcpwhy read -o csv " + save("plain", bytes));
  ASSERT_EQ(plain.status, 0) << plain.err;
  ASSERT_GT(std::ranges::count(plain.out, '\n'), 30'000);
  for (const auto& packer : capfile::testing::packers) {
    const auto packed = packer.pack(bytes);
    const auto path = save("packed", packed);  // whatever its name
    for (const auto& read : {"$tcpwhy read -o csv " + path, "$tcpwhy read --threads 1 -o csv " + path,
                             "cat " + path + " | $tcpwhy read -o csv -"}) {
      const auto ran = sh(read);
      EXPECT_EQ(ran.status, 0) << packer << ran.err;
      EXPECT_TRUE(sorted_lines(ran.out) == sorted_lines(plain.out)) << packer << ": " << read;
    }
    const auto cut = sh("$tcpwhy read -o csv " + save("cut", std::span(packed).first(packed.size() * 2 / 3)));
    EXPECT_EQ(cut.status, 3) << packer;
    EXPECT_NE(cut.err.find(fmt::format("the {} data end early", packer.name)), std::string::npos) << cut.err;
    EXPECT_GT(std::ranges::count(cut.out, '\n'), 5'000) << packer;
  }
}

// As many files as there may be open, and more than a shell allows at first.
TEST_F(Program, reads_a_thousand_files_as_one) {
  for (int i = 0; i < 1100; ++i) fs::create_symlink(capture(), file("part" + std::to_string(i)));
  const auto ran = sh(fmt::format("ulimit -S -n 1024; $tcpwhy read -o csv {}*", file("part")));
  EXPECT_EQ(ran.status, 0) << ran.err;
}

// DuckDB's part is played by the stand-in of parquet_table_test.cc, which opens its files by name as DuckDB does.
TEST_F(Program, makes_a_parquet_file_though_it_may_open_nothing_else) {
  const auto library =
      fmt::format("ln -s {}/duckdb_stand_in_library.so {}; ", TCPWHY_TEST_PROGRAMS, file("libduckdb.so"));
  const auto ran =
      sh(fmt::format("{}LD_LIBRARY_PATH={} $tcpwhy read {} -o parquet", library, folder_.string(), capture()));
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_NE(ran.out.find("FORMAT parquet"), std::string::npos) << ran.out;
}

// ---- by hand

// A port that nobody listens on now.
std::uint16_t free_port() {
  const base::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), generic, size) != 0 || getsockname(fd.get(), generic, &size) != 0) return 0;
  return ntohs(address.sin_port);
}

TEST_F(Program, server_and_client_work_from_a_pipe) {
  const auto server = sh(fmt::format("printf 'help\\nquit\\n' | $tcpwhy server 127.0.0.1:{}", free_port()));
  EXPECT_EQ(server.status, 0) << server.err;
  EXPECT_NE(server.out.find("listen("), std::string::npos) << server.out;
  const auto client = sh("$tcpwhy client 127.0.0.1 1");
  EXPECT_EQ(client.status, 0) << client.err;
  EXPECT_NE(client.out.find("= -1 ECONNREFUSED (Connection refused)"), std::string::npos) << client.out;
}

}  // namespace
}  // namespace tcpwhy::cli
