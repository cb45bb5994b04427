import java.io.FileInputStream;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;

/** Validates PDF/A-2b. One line a file, one a rule that it breaks: file, clause, text, separated by tabs. */
public class PdfCheck {
  public static void main(String[] files) throws Exception {
    VeraGreenfieldFoundryProvider.initialise();
    for (String file : files) {
      try (var parser = Foundries.defaultInstance().createParser(new FileInputStream(file), PDFAFlavour.PDFA_2_B)) {
        var result = Foundries.defaultInstance().createValidator(PDFAFlavour.PDFA_2_B, false).validate(parser);
        System.out.println(file + "\t" + (result.isCompliant() ? "valid" : "invalid"));
        for (TestAssertion one : result.getTestAssertions())
          if (one.getStatus() == TestAssertion.Status.FAILED)
            System.out.println(file + "\t" + one.getRuleId().getClause() + "-" + one.getRuleId().getTestNumber() + "\t"
                + one.getMessage() + " " + one.getLocation().getContext());
      }
    }
  }
}
