// Whatever a command writes may meet a full disk, a reader that has gone, a descriptor that is closed, a folder that is read-only:
// it is said, the exit status tells it, and nothing hangs.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "cli/testing/program_fixture.h"

namespace tcpwhy::cli {
namespace {

namespace fs = std::filesystem;
using testing::Program;
using testing::Ran;
using testing::slurp;

class Outputs : public Program {
 protected:
  // A recording of an experiment, and a capture of the same packets.
  bool has_files() { return sh("$tcpwhy lab 2-close/server-closes -w " + file("x.pcapng")).status == 0; }
  // Commands that print something, by what they need.
  std::vector<std::string> printing() {
    std::vector<std::string> commands{"help",
                                      "help lab",
                                      "--version",
                                      "lab --help",
                                      "",
                                      "lab --list",
                                      "doctor",
                                      "doctor -o json",
                                      "read --fields",
                                      "ps -a",
                                      "ps -o json",
                                      "ps",
                                      "lab 1-open/handshake",
                                      "lab 1-open/handshake -o tcpdump",
                                      "lab 1-open/handshake -o json"};
    for (const char* view : {"", "-o json", "-o tcpdump", "-o ndjson", "-o csv", "--table", "--compat tshark",
                             "--compat zeek", "--stream 0", "--stream 0 -o json", "--stream 0 -o tcpdump", "port 9999"})
      commands.push_back(fmt::format("read {} {}", file("x.pcapng"), view));
    commands.push_back("trace -q --backend ptrace --report /dev/stdout -- true");
    if (has_bpf()) {
      commands.emplace_back("trace -q --backend bpf --report - -o json -- true");
      commands.emplace_back("watch --stats --seconds 0.1");
    }
    return commands;
  }
};

TEST_F(Outputs, a_full_disk_under_standard_output_is_said) {
  NEEDS_LAB();
  ASSERT_TRUE(has_files());
  for (const std::string& command : printing()) {
    const auto ran = sh(fmt::format("timeout 60 $tcpwhy {} >/dev/full", command));
    EXPECT_EQ(ran.status, 4) << command << "\n" << ran.err;
    EXPECT_NE(ran.err.find("No space left on device\n"), std::string::npos) << command << "\n" << ran.err;
  }
}

TEST_F(Outputs, a_closed_standard_output_is_said) {
  NEEDS_LAB();
  ASSERT_TRUE(has_files());
  for (const std::string& command : printing()) {
    const auto ran = sh(fmt::format("timeout 60 $tcpwhy {} >&-", command));
    EXPECT_EQ(ran.status, 4) << command << "\n" << ran.err;
    EXPECT_NE(ran.err.find("Bad file descriptor\n"), std::string::npos) << command << "\n" << ran.err;
  }
}

TEST_F(Outputs, a_reader_that_has_gone_ends_it_quietly) {
  NEEDS_LAB();
  ASSERT_TRUE(has_files());
  for (const std::string& command : printing()) {
    // The reader has gone before anything is written: it is waited for.
    const auto ran = sh(fmt::format(
        "mkfifo {0}; (exec 3<{0}; exec 3<&-; : >{1}) & {{ until [ -e {1} ]; do sleep 0.01; done; timeout 60 $tcpwhy {2}; echo status $? >&2; }} >{0}; rm {0} {1}",
        file("fifo"), file("gone"), command));
    EXPECT_TRUE(ran.err == "status 0\n" || (command.empty() && ran.err == "status 2\n")) << command << "\n" << ran.err;
  }
}

TEST_F(Outputs, what_is_typed_by_hand_is_answered_or_the_reason_is_said) {
  const auto full = sh("printf 'help\\nhelp\\n' | timeout 20 $tcpwhy client 127.0.0.1 1 >/dev/full");
  EXPECT_EQ(full.status, 4);
  EXPECT_EQ(full.err, "tcpwhy: error: writing the output: No space left on device\n");
  const auto closed = sh("printf 'help\\n' | timeout 20 $tcpwhy client 127.0.0.1 1 >&-");
  EXPECT_EQ(closed.status, 4);
  EXPECT_EQ(closed.err, "tcpwhy: error: writing the output: Bad file descriptor\n");
}

TEST_F(Outputs, a_full_disk_under_a_report_is_said_whoever_ends_how) {
  for (const char* command : {"true", "false"}) {
    const auto report =
        sh(fmt::format("timeout 60 $tcpwhy trace -q --backend ptrace --report /dev/full -- {}", command));
    EXPECT_EQ(report.status, 4);
    EXPECT_EQ(report.err, "tcpwhy: error: writing /dev/full: No space left on device\n");
    const auto recording = sh(fmt::format(
        "timeout 60 $tcpwhy trace -q --backend ptrace -w /dev/full --report {} --overwrite -- {}", file("r"), command));
    EXPECT_EQ(recording.status, 4);
    EXPECT_EQ(recording.err, "tcpwhy: error: writing /dev/full: No space left on device\n");
    EXPECT_NE(slurp(file("r")), "") << "the report is written all the same";
    EXPECT_EQ(sh(fmt::format("timeout 60 $tcpwhy trace -q --backend ptrace -- {} 2>/dev/full", command)).status, 4);
  }
}

TEST_F(Outputs, a_file_that_may_not_grow_is_said_and_kills_nobody) {
  const auto ran = sh("(ulimit -f 1; exec $tcpwhy help) >" + file("short"));
  EXPECT_EQ(ran.status, 4);
  EXPECT_EQ(ran.err, "tcpwhy: error: writing the output: File too large\n");
  // The command is as it would have been: the signal ends it.
  const auto command = sh(
      fmt::format("(ulimit -f 1; exec timeout 60 $tcpwhy trace -q --backend ptrace --report /dev/null --overwrite -- "
                  "sh -c 'head -c 9999 /dev/zero >{}')",
                  file("of_command")));
  EXPECT_EQ(command.status, 128 + SIGXFSZ) << command.err;
}

TEST_F(Outputs, a_folder_that_is_gone_is_said) {
  const auto ran = sh(
      fmt::format("mkdir {0} && cd {0} && rmdir {0} && timeout 60 $tcpwhy trace -q -w x.pcapng -- true", file("gone")));
  EXPECT_EQ(ran.status, 4);
  EXPECT_EQ(ran.err, "tcpwhy: error: cannot write x.pcapng: No such file or directory\n");
}

// ---- Files: opened before anything is done

TEST_F(Outputs, a_place_that_cannot_be_written_is_noticed_before_anything_runs) {
  const auto there = write("there", "old");
  for (const auto& [place, status, why] :
       {std::tuple<std::string, int, std::string>{file("no/such"), 4, "No such file or directory"},
        {folder_, 4, "Is a directory"},
        {there, 2, "is there already"}}) {
    for (const char* option : {"-w", "--report"}) {
      const auto ran =
          sh(fmt::format("$tcpwhy trace -q --backend ptrace {} {} -- touch {}", option, place, file("ran")));
      EXPECT_EQ(ran.status, status) << ran.err;
      EXPECT_NE(ran.err.find(why), std::string::npos) << ran.err;
      EXPECT_FALSE(fs::exists(file("ran"))) << "the command ran";
    }
    for (const char* command : {"lab 1-open/handshake", "watch --seconds 30"}) {
      const auto ran = sh(fmt::format("timeout 20 $tcpwhy {} -w {}", command, place));
      EXPECT_EQ(ran.status, status) << command << ran.err;
      EXPECT_NE(ran.err.find(why), std::string::npos) << command << ran.err;
      EXPECT_EQ(ran.out, "") << command;
    }
  }
  EXPECT_EQ(slurp(there), "old");
}

TEST_F(Outputs, what_is_recorded_is_for_nobody_elses_eyes) {
  NEEDS_LAB();
  const auto is_ours = [this](const char* name) {
    EXPECT_EQ(fs::status(file(name)).permissions(), fs::perms(0600)) << name;
    EXPECT_GT(fs::file_size(file(name)), 0U) << name;
  };
  ASSERT_EQ(sh("umask 0; $tcpwhy lab 1-open/handshake -w " + file("lab.pcapng.zst")).status, 0);
  is_ours("lab.pcapng.zst");
  EXPECT_EQ(sh("$tcpwhy read " + file("lab.pcapng.zst")).status, 0);
  ASSERT_EQ(sh(fmt::format("umask 0; $tcpwhy trace -q --backend ptrace -w {} --report {} -- true", file("t.pcapng"),
                           file("t.txt")))
                .status,
            0);
  is_ours("t.pcapng");
  is_ours("t.txt");
  EXPECT_EQ(sh(fmt::format("$tcpwhy trace -q --backend ptrace -w {} --report {} --overwrite -- true", file("t.pcapng"),
                           file("t.txt")))
                .status,
            0);
}

// A disk of a few kilobytes, and a folder that is mounted read-only: `command` runs in a mount namespace where they are full/ and
// ro/ below $folder.
class Disks : public Outputs {
 protected:
  void SetUp() override {
    Outputs::SetUp();
    fs::create_directory(file("full"));
    fs::create_directory(file("ro"));
    if (on_disks("true").status != 0) GTEST_SKIP() << "no mount namespaces here";
  }
  Ran on_disks(const std::string& command) {
    const std::string script = fmt::format(
        "set -e; mount -t tmpfs -o size=16k tcpwhy {0}/full; mount -t tmpfs -o ro tcpwhy {0}/ro; cd {0}; set +e; {1}",
        folder_.string(), command);
    return sh(fmt::format("unshare {} sh -c '{}'", geteuid() == 0 ? "-m" : "-rm", script));
  }
};

TEST_F(Disks, a_disk_that_becomes_full_is_said_and_no_half_file_is_left) {
  NEEDS_LAB();
  for (const std::string command :
       {"lab 2-close -w full/x.pcapng", "lab 2-close -w full/x.pcapng.gz --overwrite", "lab 2-close -o json >full/x"}) {
    const auto ran = on_disks(fmt::format("{} {}; echo status $? >&2; ls -A full >&2", TCPWHY_PROGRAM, command));
    EXPECT_NE(ran.err.find("No space left on device\n"), std::string::npos) << command << ran.err;
    const std::string left = command.find(">full") != std::string::npos ? "x\n" : "";
    EXPECT_TRUE(ran.err.ends_with("status 4\n" + left)) << command << ran.err;
  }
}

TEST_F(Disks, a_read_only_folder_is_noticed_before_anything_runs) {
  for (const std::string command :
       {"trace -q --backend ptrace -w ro/x -- touch ran", "trace -q --backend ptrace --report ro/x -- touch ran",
        "lab 1-open/handshake -w ro/x", "watch --seconds 30 -w ro/x"}) {
    const auto ran = on_disks(fmt::format("timeout 20 {} {}; echo status $? >&2", TCPWHY_PROGRAM, command));
    EXPECT_EQ(ran.err, "tcpwhy: error: cannot write ro/x: Read-only file system\nstatus 4\n") << command;
    EXPECT_EQ(ran.out, "");
    EXPECT_FALSE(fs::exists(file("ran")));
  }
}

}  // namespace
}  // namespace tcpwhy::cli
