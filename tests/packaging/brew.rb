# What of Homebrew's language homebrew/Formula/mod_wsgi.rb is written in, for Linux, by Homebrew's documentation. What the formula
# uses beyond this is an unknown name here. Not here: the wrappers of compilers, the sandbox, bottles, signatures.
#
#   ruby brew.rb install FORMULA ARCHIVE   unpacks the sources, runs `install`, links what it has installed
#   ruby brew.rb test FORMULA              runs the block `test`
#   ruby brew.rb caveats FORMULA           prints what is told after the installation
#
# HOMEBREW_PREFIX in the environment names the prefix, which holds the formulas this one depends on.

require "fileutils"
require "pathname"
require "socket"
require "tmpdir"

HOMEBREW_PREFIX = Pathname(ENV.fetch("HOMEBREW_PREFIX"))

# A path is taken wherever text is.
class Pathname
  alias to_str to_s

  # Moves files here. Homebrew warns about an empty list and goes on, and nobody would see it.
  def install(*sources)
    raise "nothing to install in #{self}" if sources.any?([])

    mkpath
    sources.flatten.each { |source| FileUtils.mv(source, self/File.basename(source)) }
  end
end

# A formula, as far as ours goes.
class Formula
  class << self
    attr_reader :version

    %i[desc homepage sha256 license].each { |name| define_method(name) { |_| nil } }

    def url(address)
      @version = address[/-(\d+(?:\.\d+)+)\.tar\.gz\z/, 1]
    end

    def head(_address, branch:) = branch

    def depends_on(other)
      dependencies.concat(other.is_a?(Hash) ? other.keys : [other])
    end

    # Linux has none of its own.
    alias uses_from_macos depends_on

    def dependencies = @dependencies ||= []

    def test(&block)
      define_method(:test, &block)
    end
  end

  attr_reader :testpath

  def name = "mod_wsgi"
  def rack = HOMEBREW_PREFIX/"Cellar"/name
  def prefix = rack/self.class.version
  def opt_prefix = HOMEBREW_PREFIX/"opt"/name
  def lib = prefix/"lib"
  def opt_lib = opt_prefix/"lib"
  def etc = HOMEBREW_PREFIX/"etc"
  def man5 = prefix/"share/man/man5"
  def man8 = prefix/"share/man/man8"

  def formula_opt_prefix(other)
    raise "#{other} is no dependency" unless self.class.dependencies.include?(other)

    HOMEBREW_PREFIX/"opt"/other
  end

  def formula_opt_bin(other) = formula_opt_prefix(other)/"bin"
  def formula_opt_lib(other) = formula_opt_prefix(other)/"lib"

  def system(command, *arguments)
    puts "==> #{[command, *arguments].join(" ")}"
    Kernel.system(command, *arguments, exception: true)
  end

  def free_port
    TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
  end

  def shell_output(command)
    output = `#{command}`
    raise "#{command}: #{$?}" unless $?.success?

    output
  end

  def assert_equal(wanted, found)
    raise "not #{wanted.inspect} but #{found.inspect}" unless found == wanted
  end

  # The environment of a build knows no programs but the system's and the dependencies', and no flags.
  def in_environment(folder, last)
    found = self.class.dependencies.map { |other| formula_opt_bin(other) }.select(&:directory?)
    path = [*found, "/usr/bin", "/bin", "/usr/sbin", "/sbin", *last].join(":")
    ENV.replace(ENV.slice("LANG", "HOMEBREW_PREFIX", "CARGO_HOME", "PYTHONS").merge("PATH" => path, "HOME" => folder))
    Dir.chdir(folder) { yield }
  end

  def brew_install(archive)
    Dir.mktmpdir("#{name}-") do |folder|
      Kernel.system("tar", "-xzf", archive, "-C", folder, "--strip-components=1", exception: true)
      in_environment(folder, []) { install }
    end
    opt_prefix.make_symlink(prefix)
    # Whole folders are linked, but for those that formulas share.
    (HOMEBREW_PREFIX/"lib/httpd/modules").mkpath
    [lib/"mod_wsgi", *lib.glob("httpd/modules/*")].each do |installed|
      (HOMEBREW_PREFIX/"lib"/installed.relative_path_from(lib)).make_symlink(installed)
    end
  end

  def brew_test
    Dir.mktmpdir("#{name}-test-") do |folder|
      @testpath = Pathname(folder)
      in_environment(folder, [HOMEBREW_PREFIX/"bin"]) { test }
    end
  end
end

command, file, *arguments = ARGV
load file
formula = ModWsgi.new
case command
when "install" then formula.brew_install(*arguments)
when "test" then formula.brew_test
when "caveats" then puts formula.caveats
else abort "brew.rb: what is '#{command}'?"
end
