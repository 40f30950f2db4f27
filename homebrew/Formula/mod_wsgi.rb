class ModWsgi < Formula
  desc "Python WSGI applications inside the Apache HTTP Server"
  homepage "https://github.com/mod-wsgi-rs/mod_wsgi"
  url "https://github.com/mod-wsgi-rs/mod_wsgi/releases/download/v7.0.0/mod_wsgi-7.0.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "Apache-2.0"
  head "https://github.com/mod-wsgi-rs/mod_wsgi.git", branch: "main"

  depends_on "apr" => :build
  depends_on "apr-util" => :build
  depends_on "rust" => :build
  depends_on "httpd"
  depends_on "python@3.14"

  uses_from_macos "llvm" => :build # for libclang

  def install
    ENV["APXS"] = formula_opt_bin("httpd")/"apxs"
    ENV["APR_CONFIG"] = formula_opt_bin("apr")/"apr-1-config"
    ENV["APU_CONFIG"] = formula_opt_bin("apr-util")/"apu-1-config"
    system "packaging/compile"
    system "#{formula_opt_bin("python@3.14")}/python3.14 packaging/man >mod_wsgi.conf.5"

    (lib/"httpd/modules").install "target/mod_wsgi/mod_wsgi.so"
    # The module looks for the hosts here, from its own folder.
    (lib/"mod_wsgi").install Dir["target/mod_wsgi/mod_wsgi_host.*.so"], "target/mod_wsgi/mod_wsgi_daemon.py"
    man8.install "docs/man/mod_wsgi.8"
    man5.install "mod_wsgi.conf.5"
  end

  def caveats
    <<~EOS
      Add this line to #{etc}/httpd/httpd.conf:
        LoadModule wsgi_module #{opt_lib}/httpd/modules/mod_wsgi.so
      and then:
        brew services restart httpd
      Applications run with a Python of their own, named by python-home= or WSGIPythonHome. To make one:
        #{formula_opt_bin("python@3.14")}/python3.14 -m venv PATH
    EOS
  end

  test do
    port = free_port
    modules = formula_opt_lib("httpd")/"httpd/modules"
    system formula_opt_bin("python@3.14")/"python3.14", "-m", "venv", "--without-pip", testpath/"venv"
    (testpath/"hello.wsgi").write <<~PYTHON
      import mod_wsgi

      def application(environ, start_response):
          body = (mod_wsgi.process_group or "embedded").encode()
          start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
          return [body]
    PYTHON
    (testpath/"httpd.conf").write <<~EOS
      ServerRoot "#{testpath}"
      DefaultRuntimeDir "#{testpath}"
      PidFile "#{testpath}/httpd.pid"
      ServerName localhost
      Listen 127.0.0.1:#{port}
      ErrorLog "#{testpath}/error.log"
      LoadModule mpm_prefork_module #{modules}/mod_mpm_prefork.so
      LoadModule authz_core_module #{modules}/mod_authz_core.so
      LoadModule unixd_module #{modules}/mod_unixd.so
      LoadModule wsgi_module #{lib}/httpd/modules/mod_wsgi.so
      WSGIPythonHome "#{testpath}/venv"
      WSGIDaemonProcess hello python-home=#{testpath}/venv
      WSGIScriptAlias /embedded "#{testpath}/hello.wsgi"
      WSGIScriptAlias /daemon "#{testpath}/hello.wsgi" process-group=hello application-group=%{GLOBAL}
      <Directory "#{testpath}">
        Require all granted
      </Directory>
    EOS
    pid = spawn formula_opt_bin("httpd")/"httpd", "-X", "-f", testpath/"httpd.conf"
    begin
      curl = "curl --silent --fail --retry 5 --retry-connrefused http://127.0.0.1:#{port}"
      assert_equal "embedded", shell_output("#{curl}/embedded")
      assert_equal "hello", shell_output("#{curl}/daemon")
    ensure
      Process.kill("TERM", pid)
      Process.wait(pid)
    end
  end
end
