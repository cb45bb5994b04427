import com.pixelmed.validate.DicomSRValidator;

/** Structured reports by their templates (PS3.16), as PixelMed has them. Prints a line that names each file, then what is said of it. */
class SrCheck {
  public static void main(String[] paths) throws Exception {
    // All templates are one style sheet, which is larger than Java compiles unasked.
    for (String limit : new String[] {"xpathExprGrpLimit", "xpathExprOpLimit", "xpathTotalOpLimit"})
      System.setProperty("jdk.xml." + limit, "0");
    DicomSRValidator validator = new DicomSRValidator();
    for (String path : paths) {
      System.out.println("file " + path);
      System.out.println(validator.validate(path));
    }
  }
}
